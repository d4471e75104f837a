//! Texts that people and operators write: configuration, credentials, recipes, addresses.

use sphinx_access::{Register, Token};
use sphinx_channel::Address;
use sphinx_client::recipe::Recipe;
use sphinx_inference::InferenceLimits;
use sphinx_keyvault::VaultLimits;
use sphinx_network::NetworkSpec;
use sphinx_proto::{KeyId, ModelId, TenantId};
use sphinx_runtime::{Config, ServiceArgs};
use sphinx_tls::{Authority, Use};
use sphinx_trainer::TrainerLimits;

use crate::scratch;

/// A register of credentials, and the file of a token.
pub(crate) fn credentials(bytes: &[u8]) {
    let path = scratch::file("credentials", bytes);
    let _ = (Register::load(&path), Token::load(&path));
}

pub(crate) fn credential_seeds() -> Vec<Vec<u8>> {
    let token = format!("sphinx_{}\n", "A".repeat(43));
    let digest = Token::parse(&token).unwrap().digest();
    let register = format!(
        "[[credential]]\nid = \"{}\"\nsha256 = \"{digest}\"\nkind = \"token\"\nrole = \"owner\"\ntenant = \"acme\"\n\
         note = \"laptop\"\ncreated_unix_seconds = 1\nexpires_unix_seconds = 2\nrevoked_unix_seconds = 3\n",
        digest.id()
    );
    let path = scratch::file("seed", register.as_bytes());
    assert_eq!(Register::load(&path).unwrap().credentials().len(), 1);
    vec![token.into(), register.into()]
}

/// A chain of certificates, and an authority's key.
pub(crate) fn certificates(bytes: &[u8]) {
    let _ = sphinx_tls::certificates(&scratch::file("certificates", bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Authority::of_key(text);
    }
}

pub(crate) fn certificate_seeds() -> Vec<Vec<u8>> {
    let (authority, own) = Authority::generate().unwrap();
    let issued = authority.issue("service", &["localhost".to_owned()], Use::Service, 1).unwrap();
    let chain = format!("{}{}", issued.certificate, own.certificate);
    vec![chain.into(), own.key.as_bytes().to_vec()]
}

/// The configuration of each service.
pub(crate) fn configuration(bytes: &[u8]) {
    let config = Some(scratch::file("configuration.toml", bytes));
    let args = ServiceArgs { config, ..ServiceArgs::default() };
    let _ = Config::<TrainerLimits>::load(&sphinx_trainer::SERVICE, &args);
    let _ = Config::<InferenceLimits>::load(&sphinx_inference::SERVICE, &args);
    let _ = Config::<VaultLimits>::load(&sphinx_keyvault::SERVICE, &args);
}

pub(crate) fn configuration_seeds() -> Vec<Vec<u8>> {
    [
        include_str!("../../../../deploy/config/trainer.toml"),
        include_str!("../../../../deploy/config/inference.toml"),
        include_str!("../../../../deploy/config/keyvault.toml"),
    ]
    .map(|text| {
        let options = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        options.collect::<Vec<_>>().join("\n").into_bytes()
    })
    .into()
}

/// A recipe, and a network as TOML.
pub(crate) fn recipe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = (Recipe::parse("fuzz", text), NetworkSpec::from_toml(text));
}

pub(crate) fn recipe_seeds() -> Vec<Vec<u8>> {
    let name = Recipe::builtin_names().next().unwrap();
    let recipe = Recipe::builtin(name).unwrap().unwrap().to_toml().unwrap();
    let network = "name = \"n\"\ninput = { channels = 1, height = 8, width = 8 }\n\
                   [[layers]]\nkind = \"avg_pool\"\nsize = 2\n[[layers]]\nkind = \"dense\"\noutputs = 10\n";
    NetworkSpec::from_toml(network).unwrap();
    vec![recipe.into(), network.into()]
}

/// An address, and the names that requests carry.
pub(crate) fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(address) = text.parse::<Address>() {
        let again = address.to_string().parse::<Address>().unwrap();
        assert_eq!(again.to_string(), address.to_string());
    }
    let _ = (TenantId::parse(text), ModelId::parse(text), KeyId::parse(text));
}

pub(crate) fn address_seeds() -> Vec<Vec<u8>> {
    let addresses =
        ["http://127.0.0.1:7001", "https://sphinx.example", "https://[::1]:443", "a-name.7_x"];
    addresses.map(|text| text.as_bytes().to_vec()).into()
}
