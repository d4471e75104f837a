//! `sphinx infer`: recognises pictures, from files, as they arrive, or from a stream.

mod engine;
mod input;
mod report;
mod watch;

use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures::StreamExt;
use sphinx_client::ModelId;
use sphinx_client::data::Picture;
use sphinx_client::one_shot::detection;
use sphinx_client::tickets::SupplyMetrics;
use sphinx_client::workspace::Calibration;

use crate::context::Context;
use crate::error::CliError;
use crate::evaluate::probability;
use crate::interrupt::Interrupt;
use crate::numbers::seconds;
use crate::output::{Output, program};
use engine::{Engine, Opened, Way};
use input::{Image, Images};
use report::{Answers, Recognised, Report};

/// Stands for standard input.
const STDIN: &str = "-";
/// How long Ctrl-C waits for what is on its way.
const GRACE: Duration = Duration::from_secs(3);
/// Pause before images are tried again while the service is away, doubled every time.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The share of wrong answers that the worth of canaries is stated for.
const ASSUMED_CHEATING: f64 = 0.1;

/// Recognise pictures
#[derive(Debug, Args)]
pub struct Infer {
    /// The model
    model: String,
    /// PNG, JPEG, WebP, BMP, TIFF or GIF files of any size; `-` reads standard input, see --format
    #[arg(value_name = "IMAGE", required_unless_present = "watch")]
    images: Vec<PathBuf>,
    /// Recognise pictures as they arrive in a directory, until Ctrl-C
    #[arg(long, value_name = "DIR", conflicts_with = "images")]
    watch: Option<PathBuf>,
    /// What standard input holds
    #[arg(long, value_enum, default_value_t = Format::Paths)]
    format: Format,
    /// One line per image as soon as it is known; --json alone prints one document in the end
    #[arg(long, value_enum)]
    output: Option<Lines>,
    /// Most images under way at once, no more than two with --one-shot; with 1 they are recognised
    /// one after the other
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=2048))]
    at_once: u16,
    /// One request per image and nothing to prepare: the service evaluates the whole network under
    /// encryption, with the evaluation keys that are registered (`keys register --evaluation`)
    #[arg(long)]
    one_shot: bool,
    /// With --one-shot, for linear networks: thousands of images in one request, every product
    /// checked; needs no evaluation keys
    #[arg(long, requires = "one_shot", conflicts_with_all = ["canaries", "watch"])]
    batch: bool,
    /// With --one-shot: hide queries with known answers among the others, this share of all; a
    /// service that answers one of them wrongly is found out
    #[arg(long, value_name = "SHARE", requires = "one_shot")]
    canaries: Option<f64>,
    /// Answer "unsure" where the class has a probability below P
    #[arg(long, value_name = "P", value_parser = probability)]
    reject: Option<f32>,
}

/// What standard input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Paths of pictures, one a line
    Paths,
    /// Images of the network's input size, one byte per scalar (0 to 255), channel by channel, row
    /// by row, without anything between them
    Raw,
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lines {
    /// Name, class, probability
    Table,
    /// A JSON object a line, with the probabilities of all classes
    Jsonl,
    /// Comma-separated, with a header and the probabilities of all classes
    Csv,
}

impl Infer {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let interrupt = &context.interrupt;
        // Before anything is asked of the services.
        self.check_files()?;
        let place = self.watch.as_deref().map(watch::Place::watch).transpose()?;
        let endless = self.is_endless();
        let way = match (self.one_shot, self.batch) {
            (false, _) => Way::Tickets,
            (true, false) => Way::OneShot(self.canaries),
            (true, true) => Way::Batches,
        };
        let engine = Engine::open(context, &self.model, way, endless);
        let Opened { engine, pipeline } = interrupt.guard(engine).await?;
        let calibration = calibration(context, &self.model, engine.version())?;
        let classes = pipeline.classes.clone();
        let answers = Answers { classes, reject: self.reject, calibration };
        let images = match place {
            Some(place) => place.arrivals(pipeline),
            None if self.reads_stdin() => input::stdin(self.format, engine.scalars(), pipeline),
            None => input::files(self.images.clone(), pipeline),
        };
        let report = Report::new(self.lines(context.output.json, endless), &self.images, &answers);
        let recognised = tokio::select! {
            done = self.recognise(&engine, images, (report, &answers), context) => done,
            () = too_long(context) => Err(CliError::Interrupted),
        };
        // Tickets that were taken in advance go back to the store.
        let closed = engine.close().await;
        self.say_waits(&engine, context.output);
        self.say_canaries(&engine, context.output);
        recognised.and(closed)
    }

    /// Whether no end of the images is in sight.
    fn is_endless(&self) -> bool {
        self.watch.is_some() || self.reads_stdin()
    }

    /// Says on standard error that images had to wait for tickets, if they had to.
    fn say_waits(&self, engine: &Engine, output: Output) {
        let Engine::Tickets { supply, .. } = engine else { return };
        let SupplyMetrics { waits, waited, .. } = supply.metrics();
        if waits == 0 {
            return;
        }
        let waited_seconds = waited.as_secs_f64();
        let text = if output.json {
            serde_json::json!({ "waits": waits, "waited_seconds": waited_seconds }).to_string()
        } else {
            let (time, sphinx, model) = (seconds(waited_seconds), program(), &self.model);
            format!(
                "sphinx: waited {waits} times for tickets, {time} in all; \
                 `{sphinx} tickets prepare {model}` makes them beforehand"
            )
        };
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Says on standard error how many canaries there were, and what they are worth.
    fn say_canaries(&self, engine: &Engine, output: Output) {
        let (Engine::OneShot(one_shot), Some(_)) = (engine, self.canaries) else { return };
        let canaries = one_shot.canaries();
        let detected = detection(ASSUMED_CHEATING, canaries);
        let text = if output.json {
            serde_json::json!({ "canaries": canaries, "detection": detected }).to_string()
        } else {
            format!(
                "sphinx: {canaries} canaries were answered rightly; a service that cheats on {:.0} % of its answers \
                 would have been found out with probability {:.1} %",
                ASSUMED_CHEATING * 100.0,
                detected * 100.0
            )
        };
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Whether there is anything to recognise: one regular file that is a picture will do, or one
    /// that can be read only once. Standard input stands alone.
    fn check_files(&self) -> Result<(), CliError> {
        if self.reads_stdin() {
            return match self.images.as_slice() {
                [_] => Ok(()),
                _ => Err(CliError::Usage("- reads standard input and stands alone".to_owned())),
            };
        }
        let mut failed = Vec::new();
        for path in &self.images {
            if path.exists() && !path.is_file() && !path.is_dir() {
                return Ok(());
            }
            match Picture::measure(path) {
                Ok(_) => return Ok(()),
                Err(error) => failed.push(error),
            }
        }
        let last = failed.pop();
        // Standard error may be closed.
        failed.iter().for_each(|error| drop(writeln!(io::stderr(), "sphinx: {error}")));
        last.map_or(Ok(()), |error| Err(error.into()))
    }

    fn reads_stdin(&self) -> bool {
        self.images.iter().any(|path| path.as_os_str() == STDIN)
    }

    /// `None` for one document in the end.
    fn lines(&self, json: bool, endless: bool) -> Option<Lines> {
        match (self.output, json) {
            (Some(lines), _) => Some(lines),
            (None, false) => Some(Lines::Table),
            (None, true) => endless.then_some(Lines::Jsonl),
        }
    }

    /// Recognises images as they come and prints what they are, in their order. What is no image is
    /// said on standard error, and the rest goes on.
    async fn recognise(
        &self,
        engine: &Engine,
        images: Images,
        (mut report, answers): (Report, &Answers),
        context: &Context,
    ) -> Result<(), CliError> {
        let (at_once, groups) = engine.groups(usize::from(self.at_once));
        let recognised = images
            .take_until(context.interrupt.asked_times(1))
            .ready_chunks(at_once)
            .map(|images| self.group(engine, images, answers, &context.interrupt))
            .buffered(groups);
        let mut recognised = pin!(recognised);
        let (mut failed, mut seen) = (0, 0);
        while let Some(group) = recognised.next().await {
            for image in group? {
                seen += 1;
                match image {
                    Ok(image) => report.line(image, context.output)?,
                    Err(error) => {
                        failed += 1;
                        // Standard error may be closed.
                        let _ = writeln!(io::stderr(), "sphinx: {error}");
                    }
                }
            }
        }
        report.end(context.output)?;
        // A watch has no other end.
        if context.interrupt.asked() && self.watch.is_none() {
            return Err(CliError::Interrupted);
        }
        if failed > 0 && self.watch.is_none() {
            return Err(CliError::ImagesFailed { failed, of: seen });
        }
        Ok(())
    }
}

impl Infer {
    /// Recognises the images of a group; a file that is not an image stays in its place. Where no
    /// end is in sight, the group outlasts the service's absence: it is tried again until the
    /// service is back or the user has enough.
    async fn group(
        &self,
        engine: &Engine,
        images: Vec<Result<Image, CliError>>,
        answers: &Answers,
        interrupt: &Interrupt,
    ) -> Result<Vec<Result<Recognised, CliError>>, CliError> {
        let sound: Vec<Image> = images.iter().flatten().cloned().collect();
        let mut pause = PAUSE;
        let mut recognised = loop {
            let error =
                match engine.recognise(sound.iter().cloned().map(Ok).collect(), answers).await {
                    Ok(recognised) => break recognised.into_iter(),
                    Err(error) => error,
                };
            let passes = matches!(&error, CliError::Client(error) if error.is_transient());
            if !passes || !self.is_endless() {
                return Err(error);
            }
            // Standard error may be closed.
            let _ = writeln!(
                io::stderr(),
                "sphinx: {error}; trying again in {}",
                seconds(pause.as_secs_f64())
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = interrupt.asked_times(1) => return Err(error),
            }
            pause = (2 * pause).min(LONGEST_PAUSE);
        };
        let in_place = images.into_iter().filter_map(|image| match image {
            Ok(_) => recognised.next(),
            Err(error) => Some(Err(error)),
        });
        Ok(in_place.collect())
    }
}

/// What the answers of a version are corrected by, if that was asked for once.
fn calibration(
    context: &Context,
    model: &str,
    version: u64,
) -> Result<Option<Calibration>, CliError> {
    let kept = context.workspace.calibration(&ModelId::parse(model)?)?;
    let fitting = kept.as_ref().is_none_or(|kept| kept.version == version);
    if let Some(Calibration { version: old, .. }) = kept.as_ref().filter(|_| !fitting) {
        let sphinx = program();
        let text = format!(
            "sphinx: the calibration is of version {old} and the model is at {version}: probabilities are as they come \
             until `{sphinx} evaluate {model} --calibrate` makes it anew"
        );
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "{text}");
    }
    Ok(kept.filter(|_| fitting))
}

/// Ends when the user has asked to stop and has waited long enough, or has asked again.
fn too_long(context: &Context) -> impl Future<Output = ()> {
    let interrupt = context.interrupt.clone();
    async move {
        interrupt.asked_times(1).await;
        tokio::select! {
            () = tokio::time::sleep(GRACE) => {}
            () = interrupt.asked_times(2) => {}
        }
    }
}
