//! What a ledger states: old ones by today's accountant, several trainings by what is proven for
//! them.

use redb::{Database, TableDefinition};

use super::*;

fn delta() -> Delta {
    Delta::new(1e-5).unwrap()
}

/// The tables and bytes of a ledger as the first version of the program wrote them, before it knew
/// privacy loss distributions: steps under a budget.
fn write_old_ledger(path: &std::path::Path, steps: u64) {
    const HEADER: &str =
        r#"{"format":1,"binding":{"model":"m","examples":60000,"delta":0.00001,"unit":"example"}}"#;
    const CHARGE: &str = r#"{"gaussian":{"sampling_rate":0.029716666666666666,"noise_multiplier":1.457763671875,"clipping_norm":0.10000000149011612,"overflow_probability":2.5864e-10}}"#;
    const TARGET: &str = r#"{"epsilon":2.0,"delta":0.00001}"#;
    let update = Digest::of(b"update").to_string();
    let mut hash = Digest::of(format!("sphinx privacy ledger{HEADER}").as_bytes());
    let records: Vec<String> = (0..steps)
        .map(|step| {
            let record = format!(
                r#"{{"entry":{{"session":"00/{step}","step":{step},"charge":{CHARGE}}},"update":"{update}","previous":"{hash}"}}"#
            );
            hash = Digest::of(&[&hash.0[..], record.as_bytes()].concat());
            record
        })
        .collect();
    let head = format!(r#"{{"records":{steps},"hash":"{hash}"}}"#);
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let definition: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
        let mut meta = transaction.open_table(definition).unwrap();
        for (name, value) in [("header", HEADER), ("head", &head), ("target", TARGET)] {
            meta.insert(name, value.as_bytes()).unwrap();
        }
        let rows: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
        let mut rows = transaction.open_table(rows).unwrap();
        for (number, record) in (0..).zip(&records) {
            rows.insert(number, record.as_bytes()).unwrap();
        }
        let pending: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("pending");
        transaction.open_table(pending).unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn old_ledgers_are_accounted_anew() {
    let home = Home::new();
    write_old_ledger(&home.path(), 3);
    let mut ledger = home.open().unwrap();
    assert_eq!((ledger.head().records, ledger.target()), (3, target(2.0)));
    let [Run { charge: Charge::Gaussian { noise_multiplier, .. }, steps: 3 }] = ledger.runs()[..]
    else {
        panic!("{:?}", ledger.runs())
    };
    assert_eq!(noise_multiplier.get(), 1.457763671875);
    let spent = ledger.spent(delta()).unwrap();
    // 0.5942 by Rényi divergences, which is what the program said then.
    assert!((spent.rdp - 0.5942).abs() < 1e-4 && spent.proven() < 0.29, "{spent:?}");
    // It goes on where it was.
    ledger
        .reserve(
            &Entry { charge: ledger.records()[0].entry.charge, ..entry(3) },
            target(2.0),
            b"bytes",
        )
        .unwrap();
    assert_eq!(home_reopened(&home, ledger).runs()[0].steps, 4);
}

fn charge_of(sigma: f64) -> Charge {
    let segment = Segment {
        sampling_rate: SamplingRate::new(0.03).unwrap(),
        noise_multiplier: NoiseMultiplier::new(sigma).unwrap(),
        steps: 1,
        overflow_probability: 1e-9,
    };
    Charge::gaussian(&segment, 0.1)
}

fn charge_segment(charge: Charge) -> Segment {
    let Charge::Gaussian { sampling_rate, noise_multiplier, overflow_probability, .. } = charge
    else {
        panic!("{charge:?}")
    };
    Segment { sampling_rate, noise_multiplier, steps: 1, overflow_probability }
}

/// Records steps until the budget is spent and says what was spent then and would have been.
fn exhaust(ledger: &mut Ledger, charge: Charge, budget: f64) -> (u64, Epsilon, f64) {
    loop {
        let step = ledger.head().version;
        match ledger.reserve(&Entry { charge, ..entry(step) }, target(budget), b"bytes") {
            Ok(_) => ledger.confirm(step).unwrap(),
            Err(LedgerError::BudgetExhausted { epsilon, .. }) => {
                return (step, ledger.spent(delta()).unwrap(), epsilon);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_training_goes_on_until_its_last_step_that_is_proven() {
    let home = Home::new();
    let (steps, spent, next) = exhaust(&mut home.create(), charge_of(1.5), 0.9);
    assert!(spent.proven() <= 0.9 && next > 0.9 && spent.rdp > 0.95, "{spent:?} {next}");
    let segment = Segment {
        sampling_rate: SamplingRate::new(0.03).unwrap(),
        noise_multiplier: NoiseMultiplier::new(1.5).unwrap(),
        steps: 1,
        overflow_probability: 1e-9,
    };
    assert_eq!(Accountant::new().steps_within(&segment, target(0.9).unwrap()), Ok(steps));
    // Opened again, with the same parameters, and a larger budget: all the same composition.
    let (more, spent, _) = exhaust(&mut home.open().unwrap(), charge_of(1.5), 1.0);
    assert!(more > steps && !spent.adaptive && spent.proven() <= 1.0, "{spent:?}");
}

#[test]
fn a_further_training_with_other_parameters_counts_by_renyi_divergences() {
    let home = Home::new();
    let (steps, first, _) = exhaust(&mut home.create(), charge_of(1.5), 0.9);
    assert!(!first.adaptive);
    let mut ledger = home.open().unwrap();
    // What is left of 0.95 by privacy loss distributions is not proven for parameters that are
    // chosen now.
    let other = Entry { charge: charge_of(1.7), ..entry(steps) };
    let error = ledger.reserve(&other, target(0.95), b"bytes").unwrap_err();
    assert!(matches!(error, LedgerError::BudgetExhausted { epsilon, .. } if epsilon > first.rdp));
    let (_, second, next) = exhaust(&mut ledger, charge_of(1.7), 1.2);
    assert!(second.adaptive && second.proven() == second.rdp && second.rdp <= 1.2 && next > 1.2);
    assert!(second.pld.unwrap() < second.rdp);
    let again = home_reopened(&home, ledger).spent(delta()).unwrap();
    assert!(again.adaptive && (again.proven() / second.proven() - 1.0).abs() < 1e-12, "{again:?}");
}

/// What `sphinx privacy show` does. Written in one transaction, as ten thousand would take minutes.
#[test]
fn a_ledger_of_ten_thousand_steps_is_shown_within_a_second() {
    let home = Home::new();
    write_old_ledger(&home.path(), 10_000);
    let started = std::time::Instant::now();
    let ledger = Ledger::open_model(&home.path(), "m").unwrap();
    let spent = ledger.spent(delta()).unwrap();
    let runs = ledger.runs();
    let segment = charge_segment(runs[0].charge);
    let left = ledger.remaining(&segment, target(12.5).unwrap()).unwrap();
    assert!(spent.proven() < 12.5 && left > 0, "{spent:?} {left}");
    assert!(started.elapsed().as_millis() < 1000, "{:?}", started.elapsed());
}
