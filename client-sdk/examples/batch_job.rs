//! A batch job: every picture of a folder, a line of CSV each. Started again after whatever ended
//! it, it goes on where it was.
//!
//! `cargo run --release -p sphinx-client --example batch_job -- MODEL FOLDER OUTPUT.csv`

use std::collections::HashSet;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use sphinx_client::tickets::SupplyOptions;
use sphinx_client::{Endpoints, ModelId, Workspace};

/// Pictures that share messages; what is written when the next ones are begun is kept.
const TOGETHER: usize = 512;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model_id = ModelId::parse(arguments.next().ok_or("which model?")?)?;
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let output = PathBuf::from(arguments.next().ok_or("which file for the results?")?);
    let home = std::env::var_os("SPHINX_HOME").unwrap_or_else(|| "sphinx-home".into());
    let workspace = Workspace::open(&Endpoints::from_environment()?, home.into())?;

    let done = done(&output)?;
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name().into_string().map_err(|_| "a name that is not Unicode")?;
        if !done.contains(&name) {
            names.push(name);
        }
    }
    names.sort();

    // How many there are is known: nothing is prepared beyond.
    let options = SupplyOptions { low_water: 0, ..SupplyOptions::default() };
    let supply = workspace.ticket_supply(&model_id, options).await?;
    let recogniser = supply.recogniser();
    let pipeline = workspace.pipeline(&model_id, recogniser.network(), recogniser.pipeline())?;
    let mut results = OpenOptions::new().create(true).append(true).open(&output)?;
    for names in names.chunks(TOGETHER) {
        let (mut readable, mut images) = (Vec::new(), Vec::new());
        for name in names {
            match pipeline.pixels(&folder.join(name)) {
                Ok(image) => (readable.push(name), images.push(image)),
                // One bad file is a line, not the end of the job.
                Err(error) => (eprintln!("{error}"), writeln!(results, "{name},,")?),
            };
        }
        for (name, seen) in readable.iter().zip(supply.infer_batch(&images).await?) {
            let class = &pipeline.classes.names()[seen.class];
            writeln!(results, "{name},{class},{:.4}", seen.probability())?;
        }
        results.sync_data()?;
    }
    supply.close().await?;
    println!("{} pictures recognised, {} were done before", names.len(), done.len());
    Ok(())
}

/// Names in the first column of the results, if there are any yet.
fn done(output: &Path) -> Result<HashSet<String>, Box<dyn Error>> {
    if !output.exists() {
        return Ok(HashSet::new());
    }
    let text = fs::read_to_string(output)?;
    let names = text.lines().filter_map(|line| line.split(',').next());
    Ok(names.map(str::to_owned).collect())
}
