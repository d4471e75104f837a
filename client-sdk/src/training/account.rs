//! What a training spends of its data set, whichever model is trained.

use std::path::PathBuf;

use sphinx_data::Dataset;
use sphinx_privacy::data::{DataLedger, TrainingStart, Units};
use sphinx_proto::TenantId;

use crate::error::ClientError;
use crate::secure_rng;
use crate::training::ledger::ModelLedger;
use crate::training::persons::Persons;

/// The ledger of a home's data sets, and the name of a training's data in it.
///
/// Models on the same images spend together. The ledger knows images by digests under a secret of
/// the home ([`sphinx_privacy::data`]), and counts in it is all that trainings of this home have
/// spent; a cap on a set is kept by all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataAccount {
    /// File of the ledger of data sets; made if there is none.
    pub ledger: PathBuf,
    /// Directory of the ledgers of models, `<tenant>/<model>.redb`.
    pub models: PathBuf,
    /// Tenant of the model.
    pub tenant: TenantId,
    /// Name of the data set; `None` for the one that its images are, or that they have grown from.
    pub name: Option<String>,
}

impl DataAccount {
    /// Opens the ledger. Blocks while another process has it open; close it soon.
    ///
    /// # Errors
    /// [`crate::TrainingError::Data`].
    pub fn open(&self) -> Result<DataLedger, ClientError> {
        Ok(DataLedger::open(&self.ledger, &self.models, &mut secure_rng())?)
    }

    /// Reserves `steps` of what each step of a training charges, and limits its ledger to them.
    pub(crate) fn begin(
        &self,
        data: (&Dataset, Option<&Persons>),
        ledger: &mut ModelLedger,
        steps: u64,
    ) -> Result<(), ClientError> {
        let mut account = self.open()?;
        let start = TrainingStart {
            tenant: self.tenant.as_str(),
            name: self.name.as_deref(),
            units: units(&account, data),
            charge: ledger.charge(),
            steps,
        };
        account.begin(start, ledger.as_ledger())?;
        ledger.limit(steps);
        Ok(())
    }

    /// Notes what was spent. If that fails, the next training or listing does it: until then all
    /// that was reserved counts.
    pub(crate) fn end(&self, ledger: &ModelLedger) {
        let noted = self
            .open()
            .and_then(|mut account| Ok(account.end(self.tenant.as_str(), ledger.as_ledger())?));
        if let Err(cause) = noted {
            tracing::warn!(%cause, "the end of a training was not noted for its data set");
        }
    }
}

/// The units of privacy of a data set as its ledger knows them.
pub(crate) fn units(ledger: &DataLedger, (data, persons): (&Dataset, Option<&Persons>)) -> Units {
    let origins = (0..data.len()).filter_map(|index| data.origin(index));
    let images = ledger.digester().images(origins);
    match persons {
        Some(persons) => ledger.digester().persons(images, persons.names()),
        None => images,
    }
}
