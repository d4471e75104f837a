//! The network for images that nobody chose one for.

use crate::spec::{LayerSpec, NetworkSpec, Shape};

/// Least side that a scattering transform of two scales leaves something of.
const LEAST_SIDE: usize = 8;

impl NetworkSpec {
    /// A linear classifier on the scattering features of an image, or on the pixels of a very small
    /// one: few weights, fixed features that cost no privacy, so that it learns from few images and
    /// through the noise of differential privacy. Its name says what it takes and tells apart.
    pub fn auto(input: Shape, classes: usize) -> Self {
        let Shape { channels, height, width } = input;
        let dense = LayerSpec::Dense { outputs: classes };
        let layers = if height.min(width) < LEAST_SIDE {
            vec![dense]
        } else {
            let scatter = LayerSpec::Scatter {
                scales: Self::DEFAULT_SCALES,
                angles: Self::DEFAULT_ANGLES,
                groups: Self::DEFAULT_GROUPS,
            };
            vec![scatter, dense]
        };
        let name = format!("auto-{channels}x{height}x{width}-{classes}");
        Self { name, input, layers, bias_bound: Self::DEFAULT_BIAS_BOUND }
    }

    /// Whether [`NetworkSpec::auto`] made it.
    pub fn is_auto(&self) -> bool {
        *self == Self::auto(self.input, self.outputs())
    }

    /// Outputs of the last layer; 0 if it is not dense.
    fn outputs(&self) -> usize {
        match self.layers.last() {
            Some(LayerSpec::Dense { outputs }) => *outputs,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;

    #[test]
    fn any_shape_and_any_number_of_classes_have_a_network() {
        for (shape, classes, inputs) in [
            (Shape::new(3, 32, 32), 10, 15_552),
            (Shape::new(1, 28, 28), 2, 3969),
            (Shape::new(3, 48, 30), 100, 20_412),
            (Shape::new(1, 5, 40), 3, 200),
            (Shape::new(2, 9, 9), 256, 648),
        ] {
            let spec = NetworkSpec::auto(shape, classes);
            let plan = Plan::new(&spec).unwrap();
            assert_eq!((plan.input, plan.classes), (shape, classes));
            assert_eq!(plan.stem.output.len(), inputs, "{shape:?}");
            assert!(spec.is_auto());
        }
        assert!(!NetworkSpec::builtin("scatter-linear").unwrap().is_auto());
    }
}
