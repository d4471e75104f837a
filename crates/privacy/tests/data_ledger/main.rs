//! What the ledger of data sets adds up, keeps and refuses.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

mod caps;
mod crash;
mod takeover;

use std::ops::Range;
use std::path::PathBuf;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_privacy::data::*;
use sphinx_privacy::ledger::*;
use sphinx_privacy::*;
use tempfile::TempDir;

fn delta() -> Delta {
    Delta::new(1e-5).unwrap()
}

fn target(epsilon: f64) -> Target {
    Target::new(epsilon, delta()).unwrap()
}

fn charge(sigma: f64) -> Charge {
    Charge::Gaussian {
        sampling_rate: SamplingRate::new(0.03).unwrap(),
        noise_multiplier: NoiseMultiplier::new(sigma).unwrap(),
        clipping_norm: 0.1,
        overflow_probability: 1e-9,
    }
}

/// ε of so many steps of each noise, in that order, as trainings that follow one another.
fn epsilon(runs: &[(f64, u64)]) -> Epsilon {
    let mut accountant = Accountant::new();
    for &(sigma, steps) in runs {
        let segment = Segment {
            sampling_rate: SamplingRate::new(0.03).unwrap(),
            noise_multiplier: NoiseMultiplier::new(sigma).unwrap(),
            steps,
            overflow_probability: 1e-9,
        };
        accountant.compose_chosen(&segment).unwrap();
    }
    accountant.epsilon(delta()).unwrap()
}

/// A home with ledgers of models and of data sets.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("data.redb")
    }

    fn ledgers(&self) -> PathBuf {
        self.folder.path().join("ledgers")
    }

    fn open(&self) -> DataLedger {
        let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
        DataLedger::open(&self.path(), &self.ledgers(), &mut rng).unwrap()
    }

    fn model_path(&self, model: &str) -> PathBuf {
        let directory = self.ledgers().join("me");
        std::fs::create_dir_all(&directory).unwrap();
        directory.join(format!("{model}.redb"))
    }

    /// Puts the ledger of a model aside, as is done when it is deleted.
    fn put_aside(&self, model: &str) {
        let path = self.model_path(model);
        std::fs::rename(&path, path.with_extension("redb.deleted-17")).unwrap();
    }

    /// The ledger of a model, made if there is none.
    fn model(&self, model: &str, examples: u64) -> Ledger {
        let path = self.model_path(model);
        let unit = PrivacyUnit::Example;
        let binding = Binding { model: model.into(), examples, delta: delta(), unit };
        if path.exists() {
            Ledger::open(&path, &binding).unwrap()
        } else {
            Ledger::create(&path, &binding).unwrap()
        }
    }

    /// Trains a model on the images of those numbers: reserves `steps`, records `done`, and notes
    /// the end if `end` is set.
    fn train(
        &self,
        model: &str,
        name: Option<&str>,
        images: Range<u32>,
        (sigma, steps, done): (f64, u64, u64),
        end: bool,
    ) -> Result<(), DataLedgerError> {
        let mut ledger = self.model(model, images.len() as u64);
        let mut data = self.open();
        let units = images_of(&data, images);
        let charge = charge(sigma);
        data.begin(TrainingStart { tenant: "me", name, units, charge, steps }, &ledger)?;
        drop(data);
        record(&mut ledger, charge, done);
        if end {
            self.open().end("me", &ledger).unwrap();
        }
        Ok(())
    }

    fn status(&self, name: &str) -> DataStatus {
        let all = self.open().list(delta()).unwrap();
        all.into_iter().find(|status| status.name == name).unwrap()
    }
}

/// Images that show their numbers.
fn images_of(data: &DataLedger, images: Range<u32>) -> Units {
    let origin = |number: u32| {
        let mut origin = [0; 32];
        origin[..4].copy_from_slice(&number.to_le_bytes());
        origin
    };
    data.digester().images(images.map(origin))
}

/// Records steps in the ledger of a model as a training does.
fn record(ledger: &mut Ledger, charge: Charge, steps: u64) {
    for _ in 0..steps {
        let step = ledger.head().version;
        let entry = Entry { session: "s-1".into(), step, charge, chain: None };
        ledger.reserve(&entry, None, b"bytes").unwrap();
        ledger.confirm(step).unwrap();
    }
}

fn assert_near(got: f64, expected: f64) {
    assert!((got / expected - 1.0).abs() < 1e-9, "{got} {expected}");
}

#[test]
fn two_models_on_the_same_images_add_up_and_disjoint_ones_do_not() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 20, 20), true).unwrap();
    let alone = home.status("digits").spent.unwrap();
    assert_eq!(alone, epsilon(&[(1.5, 20)]));
    home.train("b", Some("digits"), 0..100, (1.5, 20, 20), true).unwrap();
    home.train("c", Some("letters"), 100..200, (1.5, 20, 20), true).unwrap();
    let (digits, letters) = (home.status("digits"), home.status("letters"));
    assert_eq!(digits.spent, Ok(epsilon(&[(1.5, 40)])));
    assert_eq!(letters.spent, Ok(alone));
    let models = |status: &DataStatus| -> Vec<String> {
        status.models.iter().map(|share| format!("{} {}", share.model, share.steps)).collect()
    };
    assert_eq!(
        (models(&digits), models(&letters)),
        (vec!["a 20".into(), "b 20".into()], vec!["c 20".to_owned()])
    );
    // With other noise, chosen when the first were known, Rényi divergences count.
    home.train("d", Some("digits"), 0..100, (2.0, 10, 10), true).unwrap();
    let spent = home.status("digits").spent.unwrap();
    assert!(spent.adaptive && spent.proven() == spent.rdp && spent.pld.unwrap() < spent.rdp);
    assert_near(spent.rdp, epsilon(&[(1.5, 40), (2.0, 10)]).rdp);
}

#[test]
fn a_relabelled_copy_under_another_name_resets_nothing() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 20, 20), true).unwrap();
    home.train("b", Some("copy"), 0..100, (1.5, 20, 20), true).unwrap();
    for name in ["digits", "copy"] {
        assert_eq!(home.status(name).spent, Ok(epsilon(&[(1.5, 40)])));
    }
}

#[test]
fn the_image_that_was_in_most_counts_where_sets_overlap_or_grow() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 20, 20), true).unwrap();
    // It grows: the new images have spent less.
    home.train("b", Some("digits"), 0..150, (1.5, 10, 10), true).unwrap();
    let status = home.status("digits");
    assert_eq!((status.examples, status.spent), (150, Ok(epsilon(&[(1.5, 30)]))));
    // Without a name it is the set that it has grown from.
    home.train("c", None, 0..160, (1.5, 5, 5), true).unwrap();
    assert_eq!(home.status("digits").examples, 160);
    // Images that only came later, under another name.
    home.train("d", Some("new"), 150..160, (1.5, 7, 7), true).unwrap();
    assert_eq!(home.status("new").spent, Ok(epsilon(&[(1.5, 12)])));
    assert_eq!(home.status("digits").spent, Ok(epsilon(&[(1.5, 35)])));
}

#[test]
fn rejects_a_set_of_which_images_are_gone() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 2, 2), true).unwrap();
    let error = home.train("b", Some("digits"), 10..105, (1.5, 2, 0), true).unwrap_err();
    let expected = DataLedgerError::Changed { name: "digits".into(), gone: 10, had: 100, added: 5 };
    assert_eq!(error, expected);
    assert_eq!(home.status("digits").models.len(), 1, "nothing was reserved");
    // Under another name it may be, and counts for those in both.
    home.train("b", Some("other"), 10..105, (1.5, 2, 2), true).unwrap();
    assert_eq!(home.status("digits").spent, Ok(epsilon(&[(1.5, 4)])));
}

/// Two of the same in a batch move the sum twice as far.
#[test]
fn an_image_that_is_there_twice_is_one_unit_and_spends_more() {
    let home = Home::new();
    let mut ledger = home.model("a", 3);
    let mut data = home.open();
    let units = data.digester().images([[1u8; 32], [2; 32], [1; 32]]);
    let start = TrainingStart { tenant: "me", name: None, units, charge: charge(3.0), steps: 9 };
    data.begin(start, &ledger).unwrap();
    record(&mut ledger, charge(3.0), 9);
    data.end("me", &ledger).unwrap();
    let status = data.list(delta()).unwrap().remove(0);
    assert_eq!((status.examples, status.units, status.repeated), (3, 2, 2));
    let spent = status.spent.unwrap().proven();
    let bound = epsilon(&[(3.0 / 2f64.sqrt(), 18)]).proven();
    assert!((spent / bound - 1.0).abs() < 1e-3, "{spent} {bound}");
    assert!(spent > 1.5 * epsilon(&[(3.0, 9)]).proven());
}

#[test]
fn what_was_declared_public_spends_nothing_until_that_is_taken_back() {
    let home = Home::new();
    home.train("a", Some("mnist"), 0..100, (1.5, 20, 20), true).unwrap();
    home.open().publish("mnist", true).unwrap();
    home.train("b", Some("mnist"), 0..100, (1.5, 20, 20), true).unwrap();
    let status = home.status("mnist");
    assert_eq!((status.private, status.spent.unwrap().proven()), (0, 0.0));
    // Images that come later are not public, nor are others.
    home.train("c", Some("mnist"), 0..101, (1.5, 5, 5), true).unwrap();
    let status = home.status("mnist");
    assert_eq!((status.private, status.spent), (1, Ok(epsilon(&[(1.5, 5)]))));
    home.open().publish("mnist", false).unwrap();
    assert_eq!(home.status("mnist").spent, Ok(epsilon(&[(1.5, 45)])));
    let error = home.open().publish("nist", true).unwrap_err();
    assert_eq!(error.to_string(), "no data set \"nist\" is known here, only mnist");
}

#[test]
fn rejects_images_that_were_trained_on_by_another_unit() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 2, 2), true).unwrap();
    let persons = |images: Range<u32>| {
        let names: Vec<String> = images.clone().map(|image| (image / 4).to_string()).collect();
        let units = images_of(&home.open(), images);
        home.open().digester().persons(units, names.iter().map(String::as_str))
    };
    let (overlapping, apart) = (persons(90..120), persons(200..240));
    let begin = |model: &str, units| {
        let ledger = home.model(model, 10);
        let charge = charge(1.5);
        let start = TrainingStart { tenant: "me", name: Some(model), units, charge, steps: 3 };
        home.open().begin(start, &ledger)
    };
    let error = begin("b", overlapping).unwrap_err();
    let (got, expected) = ("an image", "a person");
    assert_eq!(error, DataLedgerError::OtherUnit { images: 10, got, expected });
    begin("c", apart).unwrap();
    let status = home.status("c");
    assert_eq!((status.examples, status.units, status.unit), (40, 10, PrivacyUnit::Person));
}

#[test]
fn where_some_gradient_was_exact_nothing_is_proven() {
    let home = Home::new();
    let ledger = home.model("a", 100);
    let mut data = home.open();
    let units = images_of(&data, 0..100);
    let charge = Charge::Unproven;
    data.begin(TrainingStart { tenant: "me", name: None, units, charge, steps: 3 }, &ledger)
        .unwrap();
    let status = data.list(delta()).unwrap().remove(0);
    assert_eq!(status.spent, Err(AccountingError::NoneProven { steps: 3 }));
    let error = data.cap(&status.name, Some(target(3.0))).unwrap_err();
    assert!(matches!(error, DataLedgerError::NoneProven { .. }), "{error}");
}

#[test]
fn overflows_of_all_trainings_are_taken_from_delta() {
    let home = Home::new();
    for model in ["a", "b"] {
        let mut ledger = home.model(model, 100);
        let mut data = home.open();
        let Charge::Gaussian { sampling_rate, noise_multiplier, clipping_norm, .. } = charge(1.5)
        else {
            panic!()
        };
        let charge = Charge::Gaussian {
            sampling_rate,
            noise_multiplier,
            clipping_norm,
            overflow_probability: 3e-6,
        };
        let units = images_of(&data, 0..100);
        data.begin(TrainingStart { tenant: "me", name: None, units, charge, steps: 2 }, &ledger)
            .unwrap();
        record(&mut ledger, charge, 2);
        data.end("me", &ledger).unwrap();
        let spent = data.list(delta()).unwrap().remove(0).spent;
        match (model, spent) {
            ("a", Ok(_)) => {}
            ("b", Err(AccountingError::DeltaExhausted { overflow, .. })) => {
                assert_near(overflow, 1.2e-5);
            }
            (_, spent) => panic!("{spent:?}"),
        }
    }
}

/// The sums that docs/privacy.md states.
#[test]
fn two_models_planned_to_two_are_less_than_four_together() {
    let plan = |epochs| {
        PrivacyPlan::solve(&PlanRequest {
            target: target(2.0),
            examples: 60_000,
            expected_batch: None,
            blocks: 1,
            copies: 1,
            epochs,
        })
        .unwrap()
        .segment
    };
    let together = |plans: [Segment; 2]| {
        let home = Home::new();
        let mut data = home.open();
        for (model, segment) in ["a", "b"].into_iter().zip(plans) {
            let (units, charge) = (images_of(&data, 0..100), Charge::gaussian(&segment, 0.1));
            let steps = segment.steps;
            let start = TrainingStart { tenant: "me", name: Some("digits"), units, charge, steps };
            let mut ledger = home.model(model, 100);
            data.begin(start, &ledger).unwrap();
            record(&mut ledger, charge, steps);
            data.end("me", &ledger).unwrap();
        }
        data.list(delta()).unwrap().remove(0).spent.unwrap()
    };
    // The same plan twice: all parameters are those of the first, and loss distributions prove it.
    let same = together([plan(10.0), plan(10.0)]);
    println!("the same plan twice: {same:?}");
    assert!(!same.adaptive && (same.proven() - 2.86).abs() < 0.01, "{same:?}");
    // Another plan, chosen when the first model was known: the filter proves more.
    let other = together([plan(10.0), plan(5.0)]);
    println!("two plans: {other:?}");
    assert!(other.adaptive && (other.pld.unwrap() - 2.81).abs() < 0.02, "{other:?}");
    assert!(other.proven() == other.rdp && other.rdp > 3.1 && other.rdp < 3.3, "{other:?}");
}
