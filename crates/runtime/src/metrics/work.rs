//! What is computed for users: ciphertexts, multiply-adds, places for images.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

type ByWork = [(&'static str, &'static str); 1];
type ByWay = [(&'static str, &'static str); 2];

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Products of a training session.
    Train,
    /// Products on masks of images to come.
    Prepare,
    /// Products on masked images.
    Recognise,
    /// A whole network on an encrypted image.
    OneShot,
    /// The layer of a linear network on encrypted images together.
    Batch,
    /// The same on one image.
    Linear,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Prepare => "prepare",
            Self::Recognise => "recognise",
            Self::OneShot => "one_shot",
            Self::Batch => "batch",
            Self::Linear => "linear",
        }
    }
}

#[derive(Debug)]
pub(super) struct WorkMeters {
    ciphertexts: Family<ByWay, Counter>,
    multiply_adds: Family<ByWork, Counter>,
    images: Family<ByWork, Counter>,
    bootstraps: Counter,
}

/// Counts one kind of work. Clones share the counts.
#[derive(Debug, Clone)]
pub struct WorkMeter {
    taken: Counter,
    given: Counter,
    multiply_adds: Counter,
    images: Counter,
    bootstraps: Counter,
}

impl WorkMeters {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let meters = Self {
            ciphertexts: Family::default(),
            multiply_adds: Family::default(),
            images: Family::default(),
            bootstraps: Counter::default(),
        };
        let help = "Ciphertexts taken and given, by kind of work";
        registry.register("ciphertexts", help, meters.ciphertexts.clone());
        let help = "Multiply-adds of words; what is multiplied by transforms is not counted";
        registry.register("multiply_adds", help, meters.multiply_adds.clone());
        let help =
            "Places for images that were computed; how many were taken the service never knows";
        registry.register("image_places", help, meters.images.clone());
        let help = "Programmable bootstrappings of networks in one shot";
        registry.register("bootstraps", help, meters.bootstraps.clone());
        meters
    }

    pub(super) fn of(&self, work: Work) -> WorkMeter {
        let work = work.name();
        let way = |way| [("work", work), ("way", way)];
        WorkMeter {
            taken: self.ciphertexts.get_or_create_owned(&way("in")),
            given: self.ciphertexts.get_or_create_owned(&way("out")),
            multiply_adds: self.multiply_adds.get_or_create_owned(&[("work", work)]),
            images: self.images.get_or_create_owned(&[("work", work)]),
            bootstraps: self.bootstraps.clone(),
        }
    }
}

impl WorkMeter {
    /// A product that took and gave so many ciphertexts with so many multiply-adds.
    pub fn product(&self, taken: usize, given: usize, multiply_adds: u64) {
        self.taken.inc_by(taken as u64);
        self.given.inc_by(given as u64);
        self.multiply_adds.inc_by(multiply_adds);
    }

    /// So many ciphertexts were bootstrapped.
    pub fn bootstraps(&self, count: usize) {
        self.bootstraps.inc_by(count as u64);
    }

    /// The first product on places for so many images.
    pub fn images(&self, places: usize) {
        self.images.inc_by(places as u64);
    }
}
