//! Prints the parameter table of every profile.

use sphinx_bootstrap::ParameterTable;
use sphinx_evaluation_keys::OneShotProfile;

fn main() {
    for profile in OneShotProfile::ALL {
        println!("{}", ParameterTable(profile));
    }
}
