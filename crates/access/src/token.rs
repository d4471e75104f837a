//! Bearer tokens.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::credential::Digest;
use crate::error::TokenError;

/// What every token begins with, so that people and scanners know what they have found.
const PREFIX: &str = "sphinx_";
const SECRET_BYTES: usize = 32;
/// Bytes of a file that holds a token, and some air.
const MAX_FILE_BYTES: u64 = 4096;

/// A secret that says who calls: `sphinx_` and 32 random bytes in base64url.
///
/// `Debug` does not show it; it is wiped on drop.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// A fresh token of `rng`, which has to be a generator for secrets.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rng.fill_bytes(secret.as_mut());
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.as_slice()));
        Self(Zeroizing::new(format!("{PREFIX}{}", encoded.as_str())))
    }

    /// Reads a token; blanks around it are left out.
    ///
    /// # Errors
    /// [`TokenError::Malformed`], which does not repeat it.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let encoded = text.strip_prefix(PREFIX).ok_or(TokenError::Malformed)?;
        let secret = URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new);
        match secret {
            Ok(secret) if secret.len() == SECRET_BYTES => Ok(Self(Zeroizing::new(text.to_owned()))),
            Ok(_) | Err(_) => Err(TokenError::Malformed),
        }
    }

    /// The token in a file.
    ///
    /// # Errors
    /// [`TokenError::File`] if it cannot be read, may be read by others (the group of a file that
    /// another user owns is none of them), or holds no token.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let wrong = |cause: String| TokenError::File { path: path.to_owned(), cause };
        let metadata = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
        if metadata.len() > MAX_FILE_BYTES {
            return Err(wrong("no token is that long".to_owned()));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let mode = metadata.mode() & 0o777;
            if !is_private(mode, metadata.uid(), rustix::process::geteuid().as_raw()) {
                return Err(wrong(format!(
                    "others may read it (mode {mode:o}); run chmod 600 on it"
                )));
            }
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Self::parse(&Zeroizing::new(text)).map_err(|error| wrong(error.to_string()))
    }

    /// The token itself, to be sent or to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What a register knows it by.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

/// Whether a file of a mode and an owner tells its secret to nobody but the user `me`.
/// Orchestrators leave secrets with root and lend them to a process by its group, which is then the
/// only way to read them.
#[cfg(unix)]
fn is_private(mode: u32, owner: u32, me: u32) -> bool {
    let lent = if owner == me { 0 } else { 0o040 };
    mode & 0o077 & !lent == 0
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use rand::rand_core::UnwrapErr;
    use rand::rngs::SysRng;

    use super::*;

    #[test]
    fn tokens_are_read_back_and_differ() {
        let [first, second] = [(); 2].map(|()| Token::generate(&mut UnwrapErr(SysRng)));
        assert_eq!(first.expose().len(), 7 + 43);
        let read = Token::parse(&format!(" {}\n", first.expose())).unwrap();
        assert_eq!((&read, read.digest()), (&first, first.digest()));
        assert_ne!(first, second);
        assert_ne!(first.digest(), second.digest());
        assert_eq!(format!("{first:?}"), "Token(..)");
    }

    #[test]
    fn rejects_what_is_no_token_without_repeating_it() {
        let token = Token::generate(&mut UnwrapErr(SysRng));
        let text = token.expose();
        let cut = text.get(..text.len() - 1).unwrap();
        for wrong in
            ["", "sphinx_", "secret", cut, &text.replace("sphinx_", "sphinx-"), &format!("{text}A")]
        {
            let error = Token::parse(wrong).unwrap_err();
            assert_eq!(error, TokenError::Malformed, "{wrong}");
            assert!(wrong.len() < 8 || !error.to_string().contains(wrong));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_a_token_is_its_owner_s_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let token = Token::generate(&mut UnwrapErr(SysRng));
        std::fs::write(&path, format!("{}\n", token.expose())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Token::load(&path).unwrap(), token);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = Token::load(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && !error.contains(token.expose()), "{error}");
        let error = Token::load(&directory.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_group_reads_what_another_user_lends_and_nothing_else() {
        assert!(is_private(0o600, 7, 7) && is_private(0o400, 0, 7));
        assert!(is_private(0o440, 0, 7) && is_private(0o640, 0, 7));
        for (mode, owner) in [(0o440, 7), (0o640, 7), (0o444, 0), (0o460, 0), (0o604, 0)] {
            assert!(!is_private(mode, owner, 7), "{mode:o} of {owner}");
        }
    }
}
