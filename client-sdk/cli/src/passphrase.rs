//! Passphrases of sealed keys: from the environment, a file, or who sits at the terminal.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sphinx_client::workspace::Passphrases;
use sphinx_client::{KeyId, Passphrase};
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::interrupt::while_asking;

/// Longer than any passphrase.
const MOST_BYTES: u64 = 64 << 10;
/// Once asked for and told, a passphrase counts until the command ends.
type Told = Arc<Mutex<HashMap<String, Passphrase>>>;

/// Where passphrases come from. The environment counts more than a file, a file more than a
/// terminal.
#[derive(Debug, Clone)]
pub struct PassphraseSource {
    variable: Option<Zeroizing<String>>,
    file: Option<PathBuf>,
    told: Told,
}

impl PassphraseSource {
    pub fn new(variable: Option<OsString>, file: Option<PathBuf>) -> Self {
        let variable = variable.map(|text| Zeroizing::new(text.to_string_lossy().into_owned()));
        Self { variable, file, told: Told::default() }
    }

    /// For keys that are sealed already.
    pub fn for_keys(self) -> Passphrases {
        Arc::new(move |key: &KeyId| self.of(&format!("key {key}")))
    }

    /// The passphrase of something that is sealed already.
    pub fn of(&self, what: &str) -> io::Result<Passphrase> {
        if let Some(given) = self.given()? {
            return Ok(given);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(passphrase) = told.get(what) {
            return Ok(passphrase.clone());
        }
        let passphrase = asked(&format!("Passphrase of {what}: "))?;
        told.insert(what.to_owned(), passphrase.clone());
        Ok(passphrase)
    }

    /// One that is to seal something: at a terminal it is asked for twice.
    pub fn chosen(&self) -> Result<Passphrase, CliError> {
        match self.given().map_err(CliError::Passphrase)? {
            Some(given) => Ok(given),
            None => chosen_at_terminal(),
        }
    }

    fn given(&self) -> io::Result<Option<Passphrase>> {
        match (&self.variable, &self.file) {
            (Some(text), _) => passphrase(text.clone()).map(Some),
            (None, Some(file)) => of_file(file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// The passphrase in a file, without the end of its line.
pub fn of_file(path: &Path) -> io::Result<Passphrase> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if fs::metadata(path).map_err(named)?.len() > MOST_BYTES {
        return Err(named(io::Error::other("no passphrase is that long")));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(named)?);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    passphrase(Zeroizing::new(line.to_owned()))
}

/// Asks for a new passphrase, twice.
pub fn chosen_at_terminal() -> Result<Passphrase, CliError> {
    let first = asked("New passphrase: ").map_err(CliError::Passphrase)?;
    let again = asked("The same again: ").map_err(CliError::Passphrase)?;
    if first == again {
        Ok(first)
    } else {
        Err(CliError::Usage("the two passphrases differ".to_owned()))
    }
}

fn asked(question: &str) -> io::Result<Passphrase> {
    if !io::stdin().is_terminal() {
        let advice = "give it by SPHINX_PASSPHRASE or --passphrase-file, or at a terminal";
        return Err(io::Error::other(advice));
    }
    let text = while_asking(|| rpassword::prompt_password(question))?;
    passphrase(Zeroizing::new(text))
}

fn passphrase(text: Zeroizing<String>) -> io::Result<Passphrase> {
    Passphrase::new(text).map_err(io::Error::other)
}
