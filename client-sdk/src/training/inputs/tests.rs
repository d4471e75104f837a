use sphinx_data::{Classes, Dataset, DatasetError};
use sphinx_features::{FeatureError, PublicStem};
use sphinx_network::{LayerSpec, NetworkSpec, Plan, Shape};

use super::{Inputs, Slot, View};
use crate::ClientError;

fn spec(stem: Vec<LayerSpec>) -> NetworkSpec {
    let layers = stem.into_iter().chain([LayerSpec::Dense { outputs: 10 }]).collect();
    NetworkSpec { name: "test".into(), bias_bound: 4.0, input: Shape::new(1, 8, 12), layers }
}

fn scattering() -> NetworkSpec {
    spec(vec![
        LayerSpec::Normalise { mean: 0.1307, deviation: 0.3081 },
        LayerSpec::Scatter { scales: 2, angles: 4, groups: 5 },
    ])
}

fn filled(view: View) -> Slot {
    Slot { view, filled: true }
}

fn decoy(view: View) -> Slot {
    Slot { view, filled: false }
}

/// 20 images of 8 × 12.
fn data() -> Dataset {
    let levels = (0..20 * 96_u32).map(|i| (i * i % 251) as u8).collect();
    set(levels, (0..20).map(|i| i % 10).collect(), Shape::new(1, 8, 12))
}

fn set(levels: Vec<u8>, labels: Vec<u8>, shape: Shape) -> Dataset {
    Dataset::new(levels, labels, shape, Classes::numbered(10)).unwrap()
}

#[test]
fn without_a_stem_a_tensor_holds_the_pixels() {
    let (data, plan) = (data(), Plan::new(&spec(vec![])).unwrap());
    let inputs = Inputs::new(&plan, &data).unwrap();
    let mut slots: Vec<_> = [7, 3, 19].map(|example| filled(View::of(example))).to_vec();
    slots.resize(16, decoy(View::of(4)));
    let tensor = inputs.tensor(&slots).unwrap();
    assert_eq!(tensor.as_slice(), data.tensor(&[7, 3, 19], 16).unwrap());
    assert_eq!(
        slots[..4].iter().map(|slot| inputs.label(*slot)).collect::<Vec<_>>(),
        [Some(7), Some(3), Some(9), None]
    );
    // A gap between examples changes nothing for the others.
    slots.swap(1, 9);
    let gap = inputs.tensor(&slots).unwrap();
    for row in 0..96 {
        let (packed, gap) = (tensor.row(row), gap.row(row));
        assert_eq!([gap[0], gap[1], gap[2], gap[9]], [packed[0], 0.0, packed[2], packed[1]]);
    }
}

#[test]
fn features_are_those_of_the_stem_on_a_fine_grid() {
    let (data, plan) = (data(), Plan::new(&scattering()).unwrap());
    let (stem, inputs) = (PublicStem::new(&plan).unwrap(), Inputs::new(&plan, &data).unwrap());
    assert_eq!(inputs.scalars(), 25 * 2 * 3);
    let slots: Vec<_> =
        (0..16).map(|at| Slot { view: View::of(at + 4), filled: at % 3 != 1 }).collect();
    let tensor = inputs.tensor(&slots).unwrap();
    for (slot, Slot { view, filled }) in slots.iter().enumerate() {
        let expected = match filled {
            true => stem.apply(&data.pixels(view.example).unwrap()).unwrap(),
            false => vec![0.0; inputs.scalars()],
        };
        for (row, expected) in expected.iter().enumerate() {
            let got = tensor.row(row)[slot];
            assert!((got - expected).abs() <= 8.0 / 65_536.0, "{got}, expected {expected}");
        }
    }
}

#[test]
fn moved_examples_are_features_of_moved_pixels() {
    let (data, plan) = (data(), Plan::new(&scattering()).unwrap());
    let mut levels = vec![0; 96];
    for y in 1..8 {
        for x in 0..10 {
            levels[y * 12 + x] = data.levels(5).unwrap()[(y - 1) * 12 + x + 2];
        }
    }
    let moved = set(levels, vec![5], Shape::new(1, 8, 12));
    let view = View { example: 5, dx: -2, dy: 1 };
    for spec in [scattering(), spec(vec![LayerSpec::Deskew]), spec(vec![])] {
        let plan = Plan::new(&spec).unwrap();
        let expected = Inputs::new(&plan, &moved).unwrap().example(View::of(0)).unwrap();
        let inputs = Inputs::new(&plan, &data).unwrap();
        assert_eq!(inputs.example(view).unwrap(), expected);
        let tensor = inputs.tensor(&[vec![filled(view)], vec![decoy(view); 15]].concat()).unwrap();
        let slot: Vec<f32> = (0..inputs.scalars()).map(|row| tensor.row(row)[0]).collect();
        assert_eq!(slot, expected);
        assert!((0..inputs.scalars()).all(|row| tensor.row(row)[1..].iter().all(|v| *v == 0.0)));
    }
    let inputs = Inputs::new(&plan, &data).unwrap();
    let far = View { example: 5, dx: i8::MIN, dy: i8::MAX };
    let black = set(vec![0; 96], vec![0], Shape::new(1, 8, 12));
    let black = Inputs::new(&plan, &black).unwrap().example(View::of(0)).unwrap();
    assert_eq!(inputs.example(far).unwrap(), black);
}

#[test]
fn channels_move_together_and_apart_from_each_other() {
    let shape = Shape::new(2, 2, 2);
    let layers = vec![LayerSpec::Dense { outputs: 10 }];
    let spec = NetworkSpec { name: "two".into(), bias_bound: 4.0, input: shape, layers };
    let data = set(vec![51, 102, 153, 204, 255, 204, 153, 102], vec![0], shape);
    let plan = Plan::new(&spec).unwrap();
    let inputs = Inputs::new(&plan, &data).unwrap();
    let right = inputs.example(View { example: 0, dx: 1, dy: 0 }).unwrap();
    assert_eq!(right, [0, 51, 0, 153, 0, 255, 0, 153].map(sphinx_data::pixel));
    let down = inputs.example(View { example: 0, dx: 0, dy: 1 }).unwrap();
    assert_eq!(down, [0, 0, 51, 102, 0, 0, 255, 204].map(sphinx_data::pixel));
}

#[test]
fn rejects_images_of_another_size_and_examples_that_are_not_there() {
    let (data, plan) = (data(), Plan::new(&scattering()).unwrap());
    let small = set(vec![0; 64], vec![0], Shape::new(1, 8, 8));
    let error = Inputs::new(&plan, &small).unwrap_err();
    let expected = FeatureError::ImageLength { got: 64, expected: 96 };
    assert!(matches!(error, ClientError::Features(error) if error == expected));
    let inputs = Inputs::new(&plan, &data).unwrap();
    for dx in [0, 1] {
        let error = inputs.tensor(&[filled(View { example: 20, dx, dy: 0 }); 16]).unwrap_err();
        let expected = DatasetError::ImageIndex { got: 20, len: 20 };
        assert!(matches!(error, ClientError::Data(error) if error == expected));
    }
}

/// Time does not tell how many slots are filled: the others are looked up and computed as well,
/// which shows where it cannot be done.
#[test]
fn slots_that_show_nothing_are_computed_like_the_others() {
    let data = data();
    for spec in [scattering(), spec(vec![])] {
        let plan = Plan::new(&spec).unwrap();
        let inputs = Inputs::new(&plan, &data).unwrap();
        for dx in [0, 1] {
            let mut slots = vec![filled(View::of(3)); 16];
            slots[9] = decoy(View { example: 20, dx, dy: 0 });
            let error = inputs.tensor(&slots).unwrap_err();
            let expected = DatasetError::ImageIndex { got: 20, len: 20 };
            assert!(matches!(error, ClientError::Data(error) if error == expected));
        }
    }
}

#[test]
fn debug_shows_sizes_only() {
    let (data, plan) = (data(), Plan::new(&spec(vec![])).unwrap());
    let inputs = Inputs::new(&plan, &data).unwrap();
    assert_eq!(format!("{inputs:?}"), "Inputs { examples: 20, scalars: 96, .. }");
}

#[test]
fn features_that_are_too_many_are_computed_and_the_same() {
    let (data, plan) = (data(), Plan::new(&scattering()).unwrap());
    let (kept, made) = (Inputs::new(&plan, &data), Inputs::keeping(&plan, &data, 1000));
    let (kept, made) = (kept.unwrap(), made.unwrap());
    assert!(!kept.features.is_empty() && made.features.is_empty());
    let mut slots: Vec<_> = [7, 3, 19].map(|example| filled(View::of(example))).to_vec();
    slots.resize(64, decoy(View::of(4)));
    let [kept, made] = [kept, made].map(|inputs| inputs.tensor(&slots).unwrap());
    assert_eq!(kept.as_slice(), made.as_slice());
}
