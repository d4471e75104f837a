//! Recognises a stream of images: raw grey levels, one byte per pixel, image after image, from a
//! file or a pipe; one class a line on standard output.
//!
//! `camera | cargo run --release -p sphinx-client --example stream -- MODEL /dev/stdin`
//!
//! Tickets are kept in `SPHINX_HOME`, or `sphinx-home` in the working directory, beside the model's
//! key, and more are prepared in the background before they run out.

use std::error::Error;
use std::io::ErrorKind;

use sphinx_client::data::pixels;
use sphinx_client::tickets::SupplyOptions;
use sphinx_client::{Endpoints, ModelId, Workspace};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model_id = ModelId::parse(arguments.next().ok_or("which model?")?)?;
    let mut stream = File::open(arguments.next().ok_or("which stream?")?).await?;
    let home = std::env::var_os("SPHINX_HOME").unwrap_or_else(|| "sphinx-home".into());
    let workspace = Workspace::open(&Endpoints::from_environment()?, home.into())?;
    let options = SupplyOptions::default();
    let supply = workspace.ticket_supply(&model_id, options).await?;

    let mut levels = vec![0; supply.recogniser().network().input.len()];
    loop {
        match stream.read_exact(&mut levels).await {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            read => read?,
        };
        println!("{}", supply.infer(&pixels(&levels)).await?.class);
    }
    // Tickets that were taken in advance go back to the store.
    supply.close().await?;
    Ok(())
}
