//! `--data PATH`: the images to train on and to test with, and what they become for the network.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sphinx_client::data::sources::{self, Found, Loaded, Unreadable};
use sphinx_client::data::{
    Dataset, DatasetError, Fit, Pipeline, Polarity, Preparation, Resampling, TrainTest,
};
use sphinx_client::recipe::Recipe;
use sphinx_network::Shape;

use crate::error::CliError;

/// Where the images are.
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// Images with their classes: a folder of IDX files, of CIFAR batches (.bin), of .npy arrays or
    /// of pictures by class (train/CLASS/*, test/CLASS/*, or CLASS/*), an .npz file, or a CSV list
    /// (path,label[,split][,person]) [default: bundled MNIST]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Exchange rows and columns of the images of arrays, as EMNIST needs it
    #[arg(long)]
    transpose: bool,
    /// Leave out pictures that cannot be read, instead of refusing the data
    #[arg(long)]
    skip_unreadable: bool,
}

/// What pictures become before the network gets them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pictures of a new model")]
pub struct PipelineArgs {
    /// Rows and columns that the network takes [default: the images' own up to 48, else 32]
    #[arg(long, value_name = "SIDE|WIDTHxHEIGHT", value_parser = size)]
    size: Option<(usize, usize)>,
    /// Without colours [default: as the images are]
    #[arg(long)]
    grey: bool,
    /// What is done with pictures besides scaling [default: digit for digits in MNIST's form]
    #[arg(long, value_enum)]
    pipeline: Option<PipelineKind>,
    /// How pictures of other proportions are brought to the network's [default: crop]
    #[arg(long, value_enum)]
    fit: Option<FitKind>,
    /// How pictures are scaled [default: triangle]
    #[arg(long, value_enum)]
    resampling: Option<ResamplingKind>,
    /// Exchange light and dark
    #[arg(long)]
    invert: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PipelineKind {
    /// Nothing
    Plain,
    /// One digit is looked for and brought to MNIST's form
    Digit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FitKind {
    /// The largest part in the middle
    Crop,
    /// The whole picture, black beside it
    Pad,
    /// The whole picture, stretched
    Stretch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ResamplingKind {
    /// Weighted means
    Triangle,
    /// The nearest pixel
    Nearest,
    /// Lanczos' filter
    Lanczos,
}

/// Name of the bundled set in the ledger of data sets.
const BUNDLED: &str = "mnist";

impl DataArgs {
    /// Refuses the bundled images for a recipe that is for others.
    pub fn check(&self, recipe: &Recipe) -> Result<(), CliError> {
        match &recipe.data {
            Some(data) if self.data.is_none() => Err(CliError::Usage(format!(
                "recipe {} is for other images than the bundled ones, give --data PATH: {data}",
                recipe.name
            ))),
            _ => Ok(()),
        }
    }

    /// The set that a name or a path stands for, if there is one.
    pub fn called(set: &str) -> Option<Self> {
        let path = PathBuf::from(set);
        let data = if set == BUNDLED { None } else { Some(path.exists().then_some(path)?) };
        Some(Self { data, transpose: false, skip_unreadable: false })
    }

    /// Pictures that arrive in a directory: those that are not whole yet are left out.
    pub fn arriving(&self, directory: &Path) -> Self {
        let transpose = self.transpose;
        Self { data: Some(directory.to_owned()), transpose, skip_unreadable: true }
    }

    /// What the ledger of data sets calls it: by the name of its folder or file.
    pub fn name(&self) -> String {
        let Some(path) = &self.data else { return BUNDLED.to_owned() };
        let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
        let name = whole.file_name().unwrap_or(whole.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// What lies there: counted, pictures not decoded.
    pub fn find(&self) -> Result<Found, DatasetError> {
        let found = match &self.data {
            Some(path) => sources::open(path)?,
            None => sphinx_mnist::found()?,
        };
        Ok(if self.transpose { found.transposed() } else { found })
    }

    /// Brings everything through a pipeline and says what was left out.
    pub fn load_through(&self, found: Found, pipeline: &Pipeline) -> Result<Loaded, CliError> {
        let unreadable = if self.skip_unreadable { Unreadable::Skip } else { Unreadable::Refuse };
        let loaded = found.load(pipeline, unreadable)?;
        for error in &loaded.skipped {
            eprintln!("left out: {error}");
        }
        Ok(loaded)
    }

    /// Training images and test images, as they are.
    pub fn load(&self) -> Result<TrainTest, CliError> {
        let found = self.find()?;
        let pipeline = found.pipeline()?;
        let Loaded { train, test, .. } = self.load_through(found, &pipeline)?;
        Ok(TrainTest { train, test })
    }
}

impl PipelineArgs {
    /// The pipeline of a new model for those images: what was asked for before what fits them. A
    /// network that was chosen decides the shape.
    pub fn over(&self, found: &Found, input: Option<Shape>) -> Result<Pipeline, CliError> {
        let mut pipeline = found.pipeline()?;
        let own = pipeline.shape;
        if let Some((width, height)) = self.size {
            pipeline.shape = Shape::new(own.channels, height, width);
        }
        if self.grey {
            pipeline.shape.channels = 1;
        }
        if let Some(input) = input {
            let asked = self.size.is_some()
                && (pipeline.shape.height, pipeline.shape.width) != (input.height, input.width);
            if asked {
                let (width, height) = (input.width, input.height);
                let message = format!("the network takes {width}x{height}: leave --size out");
                return Err(CliError::Usage(message));
            }
            pipeline.shape = input;
        }
        if pipeline.shape != own {
            // Digits come in one size of their own.
            pipeline.preparation = Preparation::Plain;
        }
        match self.pipeline {
            Some(PipelineKind::Plain) => pipeline.preparation = Preparation::Plain,
            Some(PipelineKind::Digit) => {
                pipeline.preparation = Preparation::Digit;
                pipeline.shape.channels = 1;
                if self.size.is_none() && input.is_none() {
                    pipeline.shape = Shape::new(1, 28, 28);
                }
            }
            None => {}
        }
        pipeline.fit = match self.fit {
            Some(FitKind::Pad) => Fit::Pad,
            Some(FitKind::Stretch) => Fit::Stretch,
            Some(FitKind::Crop) | None => Fit::Crop,
        };
        pipeline.resampling = match self.resampling {
            Some(ResamplingKind::Nearest) => Resampling::Nearest,
            Some(ResamplingKind::Lanczos) => Resampling::Lanczos,
            Some(ResamplingKind::Triangle) | None => Resampling::Triangle,
        };
        if self.invert {
            pipeline.polarity = Polarity::Inverted;
        }
        Ok(pipeline)
    }

    /// Whether anything was asked for.
    pub fn is_given(&self) -> bool {
        let Self { size, grey, pipeline, fit, resampling, invert } = self;
        let chosen = pipeline.is_some() || fit.is_some() || resampling.is_some();
        size.is_some() || chosen || *grey || *invert
    }
}

/// `32` or `48x32`.
fn size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=4096).contains(side));
    let both = match text.split_once(['x', 'X']) {
        Some((width, height)) => side(width).zip(side(height)),
        None => side(text).zip(side(text)),
    };
    both.ok_or_else(|| "expected a side such as 32, or 48x32, of 1 to 4096 pixels".to_owned())
}

/// The first `limit` images of a set; all without a limit.
pub fn first(mut set: Dataset, limit: Option<usize>) -> Dataset {
    if let Some(limit) = limit {
        set.truncate(limit);
    }
    set
}
