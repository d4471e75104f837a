//! Recognises pictures of digits with a trained model; the service sees neither picture nor answer.
//!
//! `cargo run --release -p sphinx-client --example recognise -- MODEL PICTURE...`
//!
//! Pictures are PNG or JPEG files of one digit each, of any size. The key of the model has to be in
//! `SPHINX_HOME`, or `sphinx-home` in the working directory, as the example `train` leaves it.

use std::error::Error;

use sphinx_client::data::Digit;
use sphinx_client::{Endpoints, ModelId, Workspace, secure_rng};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model_id = ModelId::parse(arguments.next().ok_or("which model?")?)?;
    let names: Vec<String> = arguments.collect();
    let mut images: Vec<Vec<f32>> = Vec::new();
    for name in &names {
        images.push(Digit::open(name.as_ref())?.pixels());
    }
    let home = std::env::var_os("SPHINX_HOME").unwrap_or_else(|| "sphinx-home".into());
    let workspace = Workspace::open(&Endpoints::from_environment()?, home.into())?;

    // The slow part, before any image is there: one ticket for each, which hides one image only.
    let recogniser = workspace.recogniser(&model_id).await?;
    let mut tickets = recogniser.prepare(images.len(), &mut secure_rng()).await?;

    let tickets = tickets.take_many(images.len())?;
    for (name, seen) in names.iter().zip(recogniser.infer_batch(tickets, &images).await?) {
        println!("{name}: {} ({:.1} %)", seen.class, seen.probability() * 100.0);
    }
    Ok(())
}
