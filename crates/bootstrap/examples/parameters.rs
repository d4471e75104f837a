//! Prints the parameter table of every profile.

use sphinx_bootstrap::OneShotProfile;
use sphinx_bootstrap::parameters::table::ParameterTable;

fn main() {
    for profile in OneShotProfile::ALL {
        println!("{}", ParameterTable(profile));
    }
}
