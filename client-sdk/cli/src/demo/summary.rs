//! What the demo came to, for programs and for people.

use sphinx_client::workspace::{Evaluation, Trained};

use super::{Demo, Material};
use crate::defaults;
use crate::epsilon;
use crate::evaluation::{accuracy_text, cost_text};
use crate::numbers::{per_image, seconds};
use crate::output::program;
use crate::report::RunReport;

/// The contents of `report.json`.
pub fn report(
    material: &Material,
    trained: &Trained,
    evaluation: &Evaluation,
    wall_seconds: f64,
) -> RunReport {
    let Trained { summary, images, .. } = trained;
    let mut history = trained.history.clone();
    if let Some(last) = history.last_mut() {
        last.test_accuracy = Some(evaluation.accuracy);
    }
    let per_image = 1.0 / (*images).max(1) as f64;
    RunReport {
        network: material.spec.name.clone(),
        epochs: history.len() as u32,
        test_accuracy: evaluation.accuracy,
        confusion: evaluation.confusion.clone(),
        epsilon: summary.epsilon.map(|epsilon| epsilon.proven()),
        epsilon_pld: summary.epsilon.and_then(|epsilon| epsilon.pld),
        epsilon_rdp: summary.epsilon.map(|epsilon| epsilon.rdp),
        epsilon_classical: summary.epsilon.map(|epsilon| epsilon.classical),
        delta: summary.epsilon.map(|_| material.delta.get()),
        wall_seconds,
        ms_per_image: summary.elapsed.as_secs_f64() * 1e3 * per_image,
        bytes_up_per_image: summary.traffic.up as f64 * per_image,
        bytes_down_per_image: summary.traffic.down as f64 * per_image,
        history,
    }
}

/// What people read.
pub fn text(
    demo: &Demo,
    material: &Material,
    trained: &Trained,
    evaluation: &Evaluation,
    wall_seconds: f64,
) -> String {
    let Trained { summary, images, .. } = trained;
    let elapsed = summary.elapsed.as_secs_f64();
    let ms = elapsed * 1e3 / (*images).max(1) as f64;
    let sphinx = program();
    let left = match demo.remote {
        true => "Its model is deleted there and its key revoked. To go on there:".to_owned(),
        false => format!(
            "The services and all they stored are gone. To go on with services that stay, each in a terminal:\n  \
             {sphinx} serve keyvault\n  {sphinx} serve trainer\n  {sphinx} serve inference\n\
             and beside them:"
        ),
    };
    format!(
        "\n{}\n\
     privacy        {}\n\
     training       {} for {:.2} epochs: {ms:.2} ms, {}\n\
     recognition    {}\n\
     in all         {}\n\n\
     {left}\n  {sphinx} keys new\n  {sphinx} keys register\n  \
     {sphinx} train --network {} --epochs {}\n",
        accuracy_text(evaluation),
        epsilon::text(summary.epsilon, material.delta),
        seconds(elapsed),
        trained.epochs,
        per_image(summary.traffic, *images),
        cost_text(evaluation),
        seconds(wall_seconds),
        demo.network,
        defaults::EPOCHS,
    )
}
