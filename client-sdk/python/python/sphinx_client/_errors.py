"""What can go wrong, each with what to do about it."""


class SphinxError(Exception):
    """What a Sphinx client can fail with."""


class ServiceError(SphinxError):
    """A service is away, or refuses."""


class InputError(SphinxError, ValueError):
    """Images, labels or names are unusable."""


class PrivacyError(SphinxError):
    """A privacy budget does not allow it."""


class TrustError(SphinxError):
    """A service answered wrongly: nothing more is sent to it for this model."""
