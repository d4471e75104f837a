//! What a run came to: numbers for programs, plots for people.

mod chart;
mod confusion_plot;
mod confusion_text;
mod curve_plot;
mod html;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sphinx_client::workspace::{Confusion, EpochReport};

pub use confusion_text::confusion_text;
pub use html::write_page;

/// Result of a training run with its evaluation: the contents of `report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Name of the network.
    pub network: String,
    /// Epochs trained.
    pub epochs: u32,
    /// Share of test images recognised, 0 to 1.
    pub test_accuracy: f64,
    /// Test images by class.
    #[serde(flatten)]
    pub confusion: Confusion,
    /// ε spent, the smallest proven bound; `None` without differential privacy.
    pub epsilon: Option<f64>,
    /// ε spent, by privacy loss distributions; `None` likewise.
    pub epsilon_pld: Option<f64>,
    /// ε spent, by Rényi divergences and the improved conversion; `None` likewise.
    pub epsilon_rdp: Option<f64>,
    /// ε spent, classical conversion of the moments accountant; `None` likewise.
    pub epsilon_classical: Option<f64>,
    /// δ that ε holds for; `None` likewise.
    pub delta: Option<f64>,
    /// Time of the whole run, in seconds.
    pub wall_seconds: f64,
    /// Training time per image, in milliseconds.
    pub ms_per_image: f64,
    /// Bytes sent per training image.
    pub bytes_up_per_image: f64,
    /// Bytes received per training image.
    pub bytes_down_per_image: f64,
    /// The epochs, in order.
    pub history: Vec<EpochReport>,
}

/// A report that could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The operating system refused.
    #[error("cannot write {}: {kind}", path.display())]
    Io {
        /// File or directory concerned.
        path: PathBuf,
        /// What the system said.
        kind: ErrorKind,
    },
    /// The report has no JSON form.
    #[error("cannot encode the report: {cause}")]
    Encode {
        /// What the encoder said.
        cause: String,
    },
}

/// Writes `report.json`, `curve.svg` (if the report has epochs) and `confusion.svg` into
/// `directory`, which is created, and returns their paths. Each file appears complete or not at
/// all; those of an earlier run are replaced.
///
/// # Errors
/// [`ReportError`] with the path concerned.
pub fn write_report(directory: &Path, report: &RunReport) -> Result<Vec<PathBuf>, ReportError> {
    fs::create_dir_all(directory).map_err(|e| io_error(directory, &e))?;
    let mut json = serde_json::to_string_pretty(report)
        .map_err(|e| ReportError::Encode { cause: e.to_string() })?;
    json.push('\n');
    let mut written = Vec::new();
    let mut write = |name: &str, contents: &str| {
        let path = directory.join(name);
        replace(directory, &path, contents).map_err(|e| io_error(&path, &e))?;
        written.push(path);
        Ok(())
    };
    let curve = directory.join("curve.svg");
    if report.history.is_empty() {
        // That of an earlier run would be taken for this one's.
        match fs::remove_file(&curve) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(io_error(&curve, &e)),
            Ok(()) | Err(_) => {}
        }
    } else {
        write("curve.svg", &curve_plot::curve_plot(report))?;
    }
    write("confusion.svg", &confusion_plot::confusion_plot(report))?;
    // Last, so that who sees the numbers finds the plots.
    write("report.json", &json)?;
    Ok(written)
}

fn replace(directory: &Path, path: &Path, contents: &str) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sphinx-report-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any file the user makes: the umask decides.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(directory)?;
    file.write_all(contents.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn io_error(path: &Path, error: &io::Error) -> ReportError {
    ReportError::Io { path: path.to_owned(), kind: error.kind() }
}
