//! Trainers that lie, against clients that believe them and against clients that check.
//!
//! ```sh
//! cargo run --release -p sphinx-attack --example liars
//! ```
//!
//! Services, ciphertexts and steps are real; the client without checks is the same one with them
//! switched off.

mod answers;
mod key;
mod mix;
mod victim;

use std::error::Error;

use sphinx_client::Checks;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("key: the key of a product, from the exact gradient of one step");
    match Box::pin(key::attack(Checks::None)).await? {
        Ok(stolen) => {
            let ones = stolen.key.iter().filter(|bit| **bit).count();
            let mut labels = [0; 10];
            stolen.labels.iter().for_each(|&label| labels[label] += 1);
            println!(
                "  without checks: {ones} of 2048 key bits are 1; labels decrypted {labels:?}"
            );
        }
        Err(error) => println!("  without checks: {error}"),
    }
    match Box::pin(key::attack(Checks::Every)).await? {
        Ok(_) => println!("  with checks: nothing was noticed"),
        Err(error) => println!("  with checks: {error}"),
    }

    println!("mix: one example in the slots of others, a step within epsilon = 2");
    let seed = [7; 32];
    let dark = vec![0; mix::EXAMPLES];
    let step =
        |levels: Vec<u8>, checks| async move { Box::pin(mix::step(&levels, checks, seed)).await };
    let Ok(before) = step(dark.clone(), Checks::None).await? else {
        return Err("the client without checks noticed".into());
    };
    let example = mix::in_slot_zero(seed).await?;
    let mut bright = dark.clone();
    bright[example] = 255;
    let Ok(after) = step(bright, Checks::None).await? else {
        return Err("the client without checks noticed".into());
    };
    println!(
        "  without checks: in the slot is example {example}, as its pixels told; open slots {:.1} while \
         it is dark, {:.1} once it is bright; one example moves the sum by {:.1} C",
        before.open(),
        after.open(),
        before.distance(&after)
    );
    match step(dark, Checks::Every).await? {
        Ok(_) => println!("  with checks: nothing was noticed"),
        Err(error) => println!("  with checks: {error}"),
    }
    Ok(())
}
