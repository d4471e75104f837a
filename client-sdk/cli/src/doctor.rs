//! `sphinx doctor`: whether everything that a client needs is in order, and what to do if not.

mod here;
mod there;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;

/// Check addresses, certificates, credentials, keys and disk, and say what to do
#[derive(Debug, Args)]
pub struct Doctor {}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// Works, and may not be what is wanted.
    Doubtful,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    state: State,
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::Good, found: found.into(), advice: None }
    }

    fn doubtful(what: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let (what, found, advice) = (what.to_owned(), found.into(), Some(advice.into()));
        Self { what, state: State::Doubtful, found, advice }
    }

    fn bad(what: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Bad, ..Self::doubtful(what, found, advice) }
    }
}

impl Doctor {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let mut findings = here::look(&context.workspace);
        findings.extend(Box::pin(there::look(&context.workspace, &context.endpoints)).await);
        context.output.result(&findings, || text(&findings))?;
        match findings.iter().filter(|finding| finding.state == State::Bad).count() {
            0 => Ok(()),
            bad => Err(CliError::Unwell { bad, of: findings.len() }),
        }
    }
}

fn text(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|Finding { what, state, found, advice }| {
        let mark = match state {
            State::Good => "ok  ",
            State::Doubtful => "hm  ",
            State::Bad => "BAD ",
        };
        let advice = advice.as_ref().map_or_else(String::new, |advice| format!("\n      {advice}"));
        format!("{mark}  {what}: {found}{advice}")
    });
    lines.collect::<Vec<_>>().join("\n")
}
