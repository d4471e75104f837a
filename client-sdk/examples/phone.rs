//! A device that only recognises: it has the read key of one model, no other key, and tickets that
//! it laid in while it had time and a good line. A picture then costs some kilobytes and a round
//! per layer, and nothing is prepared meanwhile.
//!
//! ```sh
//! sphinx keys export-read MODEL model.read
//! cargo run --release -p sphinx-client --example phone -- lay-in model.read 500
//! cargo run --release -p sphinx-client --example phone -- look model.read PICTURE...
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use sphinx_client::{Endpoints, Workspace, secure_rng};

/// Tickets of one preparation.
const BLOCK: usize = 2048;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().ok_or("lay-in or look?")?;
    let read_key = arguments.next().ok_or("which read key?")?;
    let rest: Vec<String> = arguments.collect();
    let home = std::env::var_os("SPHINX_HOME").unwrap_or_else(|| "sphinx-phone".into());
    let workspace = Workspace::open(&Endpoints::from_environment()?, home.into())?;

    let model_id = workspace.import_read_key(Path::new(&read_key))?;
    let recogniser = workspace.recogniser(&model_id).await?;
    let store = Arc::new(workspace.ticket_store(&recogniser)?);
    if task == "lay-in" {
        let mut missing: usize = rest.first().ok_or("how many?")?.parse()?;
        while missing > 0 {
            let some = missing.min(BLOCK);
            let tickets = recogniser.prepare(some, &mut secure_rng()).await?;
            missing -= recogniser.keep(&store, tickets).await?;
        }
    } else {
        let network = recogniser.network();
        let pipeline = workspace.pipeline(&model_id, network, recogniser.pipeline())?;
        // Tickets of an older version are brought up to date with one product, not made anew.
        recogniser.repair_stored(&store).await?;
        for name in &rest {
            let image = pipeline.pixels(name.as_ref())?;
            let tickets = recogniser.take_stored(&store, 1).await?;
            let (before, images) = (recogniser.traffic(), [image]);
            for seen in recogniser.infer_batch(tickets, &images).await? {
                let bytes = recogniser.traffic();
                let moved = bytes.up + bytes.down - before.up - before.down;
                println!("{} ({moved} bytes)", pipeline.classes.names()[seen.class]);
            }
        }
    }
    println!("{} tickets left", store.unused(&recogniser.edition())?);
    Ok(())
}
