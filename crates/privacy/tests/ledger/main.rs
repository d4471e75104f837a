//! What a ledger accepts, keeps and refuses.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are not in test functions"
)]

mod accounts;
mod edits;

use std::fs;
use std::path::PathBuf;

use sphinx_privacy::ledger::*;
use sphinx_privacy::*;
use tempfile::TempDir;

fn binding(model: &str) -> Binding {
    Binding {
        model: model.into(),
        examples: 60_000,
        delta: Delta::new(1e-5).unwrap(),
        unit: PrivacyUnit::Example,
    }
}

fn charge() -> Charge {
    Charge::Gaussian {
        sampling_rate: SamplingRate::new(0.03).unwrap(),
        noise_multiplier: NoiseMultiplier::new(1.5).unwrap(),
        clipping_norm: 0.1,
        overflow_probability: 1e-9,
    }
}

fn entry(step: u64) -> Entry {
    Entry { session: "s-1".into(), step, charge: charge(), chain: None }
}

fn target(epsilon: f64) -> Option<Target> {
    Some(Target::new(epsilon, Delta::new(1e-5).unwrap()).unwrap())
}

struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("model.ledger")
    }

    fn create(&self) -> Ledger {
        Ledger::create(&self.path(), &binding("m")).unwrap()
    }

    fn open(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.path(), &binding("m"))
    }

    /// A ledger of `steps` confirmed steps.
    fn with_steps(steps: u64) -> Self {
        let home = Self::new();
        let mut ledger = home.create();
        for step in 0..steps {
            ledger.reserve(&entry(step), None, &step.to_le_bytes()).unwrap();
            ledger.confirm(step).unwrap();
        }
        home
    }
}

#[test]
fn what_was_spent_survives_reopening() {
    let home = Home::with_steps(30);
    let ledger = home.open().unwrap();
    let mut accountant = Accountant::new();
    let segment = Segment {
        sampling_rate: SamplingRate::new(0.03).unwrap(),
        noise_multiplier: NoiseMultiplier::new(1.5).unwrap(),
        steps: 30,
        overflow_probability: 1e-9,
    };
    accountant.compose(&segment).unwrap();
    let delta = Delta::new(1e-5).unwrap();
    assert_eq!(ledger.spent(delta), accountant.epsilon(delta));
    assert_eq!(ledger.runs(), [Run { charge: charge(), steps: 30 }]);
    assert_eq!((ledger.head().records, ledger.head().version), (30, 30));
    let target = target(2.0).unwrap();
    assert_eq!(ledger.remaining(&segment, target), accountant.steps_within(&segment, target));
    assert!(ledger.pending().is_none());
}

#[test]
fn a_retry_after_a_crash_has_the_identical_bytes_and_spends_nothing() {
    let home = Home::with_steps(2);
    let update = vec![7u8; 300_000];
    let receipt = home.open().unwrap().reserve(&entry(2), None, &update).unwrap();
    // The ledger was dropped before the confirmation.
    let mut ledger = home.open().unwrap();
    let head = ledger.head();
    assert_eq!(ledger.pending().unwrap().bytes, update);
    assert_eq!(ledger.pending().unwrap().entry, entry(2));
    assert_eq!(ledger.reserve(&entry(2), None, &update).unwrap(), receipt);
    assert_eq!(ledger.head(), head);
    ledger.confirm(2).unwrap();
    assert!(home_reopened(&home, ledger).pending().is_none());
}

fn home_reopened(home: &Home, ledger: Ledger) -> Ledger {
    drop(ledger);
    home.open().unwrap()
}

#[test]
fn an_abandoned_update_stays_spent_and_its_step_can_be_made_again() {
    let home = Home::with_steps(1);
    let mut ledger = home.open().unwrap();
    ledger.reserve(&entry(1), None, b"first").unwrap();
    ledger.abandon(1).unwrap();
    // The model is where it was: a version beyond is somebody else's.
    let mut ledger = home_reopened(&home, ledger);
    assert!(ledger.pending().is_none());
    assert_eq!((ledger.head().records, ledger.head().version), (2, 1));
    assert_eq!(ledger.check_version(1), Ok(()));
    let beyond = LedgerError::RolledBack { ledger: 1, server: 2 };
    assert_eq!(ledger.check_version(2), Err(beyond));
    ledger.reserve(&entry(1), None, b"second").unwrap();
    let ledger = home_reopened(&home, ledger);
    assert_eq!((ledger.head().records, ledger.head().version), (3, 2));
    assert_eq!(ledger.runs()[0].steps, 3);
}

#[test]
fn the_last_target_is_remembered() {
    let home = Home::with_steps(1);
    let mut ledger = home.open().unwrap();
    assert_eq!(ledger.target(), None, "a ledger without");
    ledger.reserve(&entry(1), target(2.0), b"bytes").unwrap();
    ledger.confirm(1).unwrap();
    assert_eq!(ledger.target(), target(2.0));
    // Steps without a target, and steps that are refused, change nothing.
    ledger.reserve(&entry(2), None, b"bytes").unwrap();
    ledger.confirm(2).unwrap();
    ledger.reserve(&entry(3), target(0.01), b"bytes").unwrap_err();
    let mut ledger = home_reopened(&home, ledger);
    assert_eq!(ledger.target(), target(2.0));
    ledger.reserve(&entry(3), target(1.5), b"bytes").unwrap();
    assert_eq!(home_reopened(&home, ledger).target(), target(1.5));
}

#[test]
fn rejects_fresh_noise_for_a_pending_step() {
    let home = Home::with_steps(1);
    let mut ledger = home.open().unwrap();
    ledger.reserve(&entry(1), None, b"bytes").unwrap();
    let head = ledger.head();
    let again = ledger.reserve(&entry(1), None, b"other");
    assert_eq!(again, Err(LedgerError::PendingDiffers { step: 1 }));
    let next = ledger.reserve(&entry(2), None, b"bytes");
    assert_eq!(next, Err(LedgerError::Pending { step: 1 }));
    assert_eq!(ledger.head(), head);
}

#[test]
fn rejects_confirming_what_is_not_pending() {
    let home = Home::new();
    let mut ledger = home.create();
    assert_eq!(ledger.confirm(0), Err(LedgerError::NotPending { step: 0 }));
    ledger.reserve(&entry(0), None, b"bytes").unwrap();
    assert_eq!(ledger.confirm(1), Err(LedgerError::NotPending { step: 1 }));
    assert_eq!(ledger.abandon(1), Err(LedgerError::NotPending { step: 1 }));
}

#[test]
fn rejects_steps_beyond_the_budget_and_records_nothing() {
    let home = Home::new();
    let mut ledger = home.create();
    let mut step = 0;
    let error = loop {
        match ledger.reserve(&entry(step), target(0.7), b"bytes") {
            Ok(_) => ledger.confirm(step).unwrap(),
            Err(error) => break error,
        }
        step += 1;
    };
    assert!(step > 5, "{step}");
    assert!(
        matches!(error, LedgerError::BudgetExhausted { epsilon, target: 0.7 } if epsilon > 0.7)
    );
    let ledger = home_reopened(&home, ledger);
    assert_eq!(ledger.head().records, step);
    assert!(ledger.spent(Delta::new(1e-5).unwrap()).unwrap().proven() <= 0.7);
}

#[test]
fn rejects_stating_an_epsilon_after_steps_without_noise() {
    let home = Home::with_steps(1);
    let mut ledger = home.open().unwrap();
    let bare = Entry { charge: Charge::Unproven, ..entry(1) };
    ledger.reserve(&bare, None, b"bytes").unwrap();
    ledger.confirm(1).unwrap();
    let mut ledger = home_reopened(&home, ledger);
    let none = AccountingError::NoneProven { steps: 1 };
    assert_eq!(ledger.spent(Delta::new(1e-5).unwrap()), Err(none));
    let next = ledger.reserve(&entry(2), target(2.0), b"bytes");
    assert_eq!(next, Err(LedgerError::Accounting(none)));
}

#[test]
fn post_processing_is_recorded_and_spends_nothing() {
    let home = Home::with_steps(3);
    let mut ledger = home.open().unwrap();
    let delta = Delta::new(1e-5).unwrap();
    let spent = ledger.spent(delta).unwrap();
    let adoption = Entry { charge: Charge::PostProcessing, ..entry(3) };
    ledger.reserve(&adoption, None, b"average").unwrap();
    let mut ledger = home_reopened(&home, ledger);
    assert_eq!(ledger.pending().unwrap().bytes, b"average");
    ledger.confirm(3).unwrap();
    ledger.reserve(&entry(4), None, b"bytes").unwrap();
    let ledger = home_reopened(&home, ledger);
    assert_eq!((ledger.head().records, ledger.head().version), (5, 5));
    assert_eq!(ledger.runs(), [Run { charge: charge(), steps: 4 }]);
    assert!(ledger.spent(delta).unwrap().proven() > spent.proven());
    let home = Home::new();
    let mut alone = home.create();
    alone.reserve(&Entry { charge: Charge::PostProcessing, ..entry(0) }, None, b"a").unwrap();
    assert_eq!(alone.spent(delta), Accountant::new().epsilon(delta));
}

#[test]
fn rejects_a_missing_ledger() {
    let home = Home::new();
    assert_eq!(home.open().unwrap_err(), LedgerError::Missing { path: home.path() });
    assert!(!home.path().exists(), "opening must not create one");
}

#[test]
fn rejects_overwriting_a_ledger() {
    let home = Home::with_steps(1);
    let error = Ledger::create(&home.path(), &binding("m")).unwrap_err();
    assert_eq!(error, LedgerError::AlreadyExists { path: home.path() });
    assert_eq!(home.open().unwrap().head().records, 1);
}

#[test]
fn rejects_a_ledger_in_use() {
    let home = Home::new();
    let _held = home.create();
    assert_eq!(home.open().unwrap_err(), LedgerError::InUse { path: home.path() });
}

#[test]
fn rejects_another_model_data_set_or_delta() {
    let home = Home::with_steps(1);
    let field = |binding: Binding| {
        let error = Ledger::open(&home.path(), &binding).unwrap_err();
        let LedgerError::OtherBinding { field, .. } = error else { panic!("{error}") };
        field
    };
    assert_eq!(field(binding("other")), "model");
    assert_eq!(field(Binding { examples: 50_000, ..binding("m") }), "a data set of size");
    assert_eq!(field(Binding { delta: Delta::new(1e-6).unwrap(), ..binding("m") }), "delta");
    assert!(Ledger::open_model(&home.path(), "m").is_ok());
}

#[test]
fn rejects_a_ledger_rolled_back() {
    let home = Home::with_steps(3);
    let copy = home.folder.path().join("copy");
    fs::copy(home.path(), &copy).unwrap();
    let mut ledger = home.open().unwrap();
    ledger.reserve(&entry(3), None, b"bytes").unwrap();
    ledger.confirm(3).unwrap();
    assert_eq!(ledger.check_version(4), Ok(()));
    drop(ledger);
    fs::rename(&copy, home.path()).unwrap();
    let error = home.open().unwrap().check_version(4);
    assert_eq!(error, Err(LedgerError::RolledBack { ledger: 3, server: 4 }));
}

#[test]
fn rejects_a_step_that_skips_others() {
    let home = Home::with_steps(3);
    let error = home.open().unwrap().reserve(&entry(4), None, b"bytes");
    assert_eq!(error, Err(LedgerError::StepGap { got: 4, next: 3 }));
}

#[test]
fn rejects_files_that_are_no_ledger() {
    let home = Home::new();
    for bytes in [&b""[..], b"not a ledger", &[0; 100_000]] {
        fs::write(home.path(), bytes).unwrap();
        let error = home.open().unwrap_err();
        assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
    }
}

#[test]
fn rejects_truncated_ledgers() {
    let home = Home::with_steps(40);
    let whole = fs::read(home.path()).unwrap();
    for part in 1..20 {
        fs::write(home.path(), &whole[..whole.len() * part / 20]).unwrap();
        let error = home.open().unwrap_err();
        assert!(matches!(error, LedgerError::Damaged { .. }), "{part}/20: {error}");
    }
}

/// A byte changed anywhere is noticed, or lies where nothing is stored.
#[test]
fn rejects_changed_bytes() {
    let home = Home::with_steps(40);
    let head = home.open().unwrap().head();
    let whole = fs::read(home.path()).unwrap();
    let occupied: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] != 0).collect();
    let mut noticed = 0;
    let probes = occupied.iter().step_by(occupied.len() / 300);
    for &at in probes.clone() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(home.path(), changed).unwrap();
        match home.open() {
            Ok(ledger) => assert_eq!(ledger.head(), head, "byte {at}"),
            Err(LedgerError::Damaged { .. }) => noticed += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    println!("{noticed} of {} changes noticed, the rest had no effect", probes.count());
    assert!(noticed > 20);
}

#[test]
fn a_draft_left_by_a_crash_is_replaced() {
    let home = Home::new();
    fs::write(home.folder.path().join("model.ledger.new"), b"half").unwrap();
    home.create();
    assert_eq!(home.open().unwrap().head().records, 0);
    assert_eq!(fs::read_dir(home.folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_ledger() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::with_steps(1);
    assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_step_costs_milliseconds() {
    let home = Home::new();
    let mut ledger = home.create();
    let update = vec![1u8; 1_500_000];
    let start = std::time::Instant::now();
    for step in 0..20 {
        ledger.reserve(&entry(step), target(3.0), &update).unwrap();
        ledger.confirm(step).unwrap();
    }
    let step = start.elapsed() / 20;
    println!(
        "reserve + confirm of 1.5 MB: {step:?}, file {} kB",
        fs::metadata(home.path()).unwrap().len() / 1000
    );
    assert!(step < std::time::Duration::from_millis(500), "{step:?}");
}
