//! Recognises pictures with a trained model; the service sees neither picture nor answer.
//!
//! `cargo run --release -p sphinx-client --example recognise -- MODEL PICTURE...`
//!
//! Pictures are files of any usual format and size. The key of the model has to be in
//! `SPHINX_HOME`, or `sphinx-home` in the working directory, as the example `train` leaves it.

use std::error::Error;

use sphinx_client::{Endpoints, ModelId, Workspace, secure_rng};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model_id = ModelId::parse(arguments.next().ok_or("which model?")?)?;
    let names: Vec<String> = arguments.collect();
    let home = std::env::var_os("SPHINX_HOME").unwrap_or_else(|| "sphinx-home".into());
    let workspace = Workspace::open(&Endpoints::from_environment()?, home.into())?;

    // The slow part, before any image is there: one ticket for each, which hides one image only.
    let recogniser = workspace.recogniser(&model_id).await?;
    let mut tickets = recogniser.prepare(names.len(), &mut secure_rng()).await?;

    // What a picture becomes belongs to the model.
    let pipeline = workspace.pipeline(&model_id, recogniser.network(), recogniser.pipeline())?;
    let mut images: Vec<Vec<f32>> = Vec::new();
    for name in &names {
        images.push(pipeline.pixels(name.as_ref())?);
    }
    let tickets = tickets.take_many(images.len())?;
    for (name, seen) in names.iter().zip(recogniser.infer_batch(tickets, &images).await?) {
        let class = &pipeline.classes.names()[seen.class];
        println!("{name}: {class} ({:.1} %)", seen.probability() * 100.0);
    }
    Ok(())
}
