//! Where text goes: results to standard output, as JSON if asked for; all else beside it.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::error::CliError;

/// How results are printed.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// As JSON; standard output then holds nothing else.
    pub json: bool,
}

impl Output {
    /// Prints a result, for people or for programs.
    pub fn result<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        let text = if self.json {
            serde_json::to_string_pretty(value).map_err(|e| CliError::Output(e.into()))?
        } else {
            text()
        };
        print(io::stdout().lock(), &text)
    }

    /// Prints a result that has one form only.
    pub fn text(self, text: &str) -> Result<(), CliError> {
        print(io::stdout().lock(), text)
    }

    /// Prints something on the way to the result.
    pub fn note(self, text: &str) -> Result<(), CliError> {
        if self.json { print(io::stderr().lock(), text) } else { print(io::stdout().lock(), text) }
    }

    /// Whether somebody watches: then progress is drawn in place.
    pub fn is_watched(self) -> bool {
        io::stdout().is_terminal() && io::stderr().is_terminal()
    }
}

fn print(mut stream: impl Write, text: &str) -> Result<(), CliError> {
    writeln!(stream, "{}", text.trim_end()).and_then(|()| stream.flush()).map_err(CliError::Output)
}

/// Aligned columns without lines.
pub fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.map(str::to_owned));
    for row in rows {
        table.add_row(row);
    }
    // Every cell is padded by a blank on either side.
    let line = |line: String| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned();
    table.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// How the user called this program, for commands that he may copy.
pub fn program() -> String {
    let name = std::env::args_os().next();
    name.map_or_else(|| "sphinx".to_owned(), |name| name.to_string_lossy().into_owned())
}
