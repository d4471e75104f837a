//! sphinx-keyvault
