//! Recognises one picture with one encrypted message and one encrypted answer: nothing
//! is prepared, and the service computes for longer.
//!
//! `cargo run --release -p sphinx-client --example one_shot -- MODEL PICTURE`
//!
//! The model's network must have one activation between two linear layers, such as `mlp-100`. Its
//! key has to be in `SPHINX_HOME`, or `sphinx-home` in the working directory, as `train` leaves it.

use std::error::Error;

use sphinx_client::{Endpoints, ModelId, OneShotProfile, Workspace, secure_rng};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model_id = ModelId::parse(arguments.next().ok_or("which model?")?)?;
    let picture = arguments.next().ok_or("which picture?")?;
    let home = std::env::var_os("SPHINX_HOME").unwrap_or_else(|| "sphinx-home".into());
    let workspace = Workspace::open(&Endpoints::from_environment()?, home.into())?;

    // Evaluation keys, once: with them the service computes on ciphertexts and cannot decrypt.
    let key = workspace.client().key_of_model(&model_id).await?;
    if workspace.home().evaluation_keys(&key)?.is_none() {
        workspace.make_evaluation_keys(&key, OneShotProfile::Standard)?;
    }
    workspace.register_evaluation_keys(&key, "of the examples").await?;

    let one_shot = workspace.one_shot(&model_id).await?;
    let pipeline = workspace.pipeline(&model_id, one_shot.network(), one_shot.pipeline())?;
    let image = pipeline.pixels(picture.as_ref())?;
    let seen = one_shot.infer(&image, &mut secure_rng()).await?;
    println!("{} ({:.1} %)", seen.class, seen.probability() * 100.0);
    Ok(())
}
