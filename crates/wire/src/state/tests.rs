mod weights;

use std::collections::HashSet;

use proptest::prelude::*;
use sphinx_network::NetworkSpec;
use sphinx_optimizer::{OptimizerSpec, TrainingRule};
use sphinx_proto::ModelId;

use super::*;

fn model(name: &str) -> ModelId {
    ModelId::parse(name).unwrap()
}

fn link() -> Link {
    Link { previous: [1; 32], gradient: [2; 32], weights: [3; 32], sealed: [4; 32] }
}

fn binding() -> Binding {
    Binding {
        incarnation: [1; 16],
        version: 2,
        previous: [3; 32],
        network: [4; 32],
        weights: [5; 32],
        optimizer: [6; 32],
    }
}

fn hex(hash: Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash with one bit of another.
fn flipped(mut hash: Hash, bit: usize) -> Hash {
    hash[bit / 8] ^= 1 << (bit % 8);
    hash
}

proptest! {
    #[test]
    fn every_bit_of_a_link_counts(bit in 0usize..256) {
        let link = link();
        let chains = HashSet::from([
            link.chain(),
            Link { previous: flipped(link.previous, bit), ..link }.chain(),
            Link { gradient: flipped(link.gradient, bit), ..link }.chain(),
            Link { weights: flipped(link.weights, bit), ..link }.chain(),
            Link { sealed: flipped(link.sealed, bit), ..link }.chain(),
        ]);
        prop_assert_eq!(chains.len(), 5);
    }

    #[test]
    fn every_bit_of_a_binding_counts(bit in 0usize..256) {
        let binding = binding();
        let mut incarnation = binding.incarnation;
        incarnation[bit / 16] ^= 1 << (bit % 8);
        let version = binding.version ^ 1 << (bit % 64);
        let all = [
            binding,
            Binding { incarnation, ..binding },
            Binding { version, ..binding },
            Binding { previous: flipped(binding.previous, bit), ..binding },
            Binding { network: flipped(binding.network, bit), ..binding },
            Binding { weights: flipped(binding.weights, bit), ..binding },
            Binding { optimizer: flipped(binding.optimizer, bit), ..binding },
        ];
        let data: HashSet<_> = all.iter().map(|one| one.associated_data(&model("m"))).collect();
        prop_assert_eq!(data.len(), all.len());
        prop_assert!(!data.contains(&binding.associated_data(&model("n"))));
        // All of one length, so that no field can run into the next.
        prop_assert!(data.iter().all(|data| data.len() == 14 + 32 + 16 + 8 + 4 * 32));
    }

    #[test]
    fn every_bit_of_a_gradient_counts(
        values in proptest::collection::vec(any::<u32>(), 1..20), at: prop::sample::Index, bit in 0..32,
    ) {
        let floats = |bits: &[u32]| vec![bits.iter().map(|&bits| f32::from_bits(bits)).collect()];
        let mut other = values.clone();
        *at.get_mut(&mut other) ^= 1u32 << bit;
        prop_assert_eq!(gradient_sha256(&floats(&values)), gradient_sha256(&floats(&values)));
        prop_assert_ne!(gradient_sha256(&floats(&values)), gradient_sha256(&floats(&other)));
    }
}

#[test]
fn what_stands_where_in_a_link_counts() {
    let Link { previous, gradient, weights, sealed } = link();
    let swapped = [
        link(),
        Link { previous: gradient, gradient: previous, ..link() },
        Link { gradient: weights, weights: gradient, ..link() },
        Link { weights: sealed, sealed: weights, ..link() },
    ];
    assert_eq!(swapped.map(|link| link.chain()).into_iter().collect::<HashSet<_>>().len(), 4);
}

#[test]
fn a_chain_begins_at_name_incarnation_network_and_weights() {
    let first = |name, incarnation, network, weights| {
        first_chain(&model(name), &[incarnation; 16], &[network; 32], &[weights; 32])
    };
    let chains = HashSet::from([
        first("m", 1, 2, 3),
        first("n", 1, 2, 3),
        first("mm", 1, 2, 3),
        first("m", 9, 2, 3),
        first("m", 1, 9, 3),
        first("m", 1, 2, 9),
        first("m", 1, 3, 2),
    ]);
    assert_eq!(chains.len(), 7);
}

/// Builds of this release must agree with those to come: versions that are stored are bound by
/// these.
#[test]
fn the_hashes_of_this_release_do_not_change() {
    let first = first_chain(&model("m"), &[1; 16], &[2; 32], &[3; 32]);
    let rule = TrainingRule {
        optimizer: OptimizerSpec::ADAM,
        schedule: weights::SCHEDULE,
        averaging: Some(0.5),
    };
    let fresh = WeightState { weights: vec![vec![1.0, -2.0], vec![0.5]], rule: None };
    let opened = fresh.clone().opened(rule, false).unwrap();
    let got = [
        link().chain(),
        first,
        gradient_sha256(&fresh.weights),
        fresh.weights_sha256(),
        fresh.optimizer_sha256(),
        opened.optimizer_sha256(),
    ];
    let expected = [
        "3842f59b4b83dbec162e23f35bad6454912235cc03ce5126cb3f9aa59522cd01",
        "74786b7f5e573a21cff6cf8e82e2aae293a415ec35670769a78562a516717fcb",
        "29b5af9e0cdf45d09fc707fa09b13de8ed3560b53874bc15de22435dca162577",
        "7339f20d3a8118aeaa9d64a75a6063bb583d5d9e63f5276661a7a1936776e895",
        "0ab363e9652533d3f38d48e8984b135721035a7c6823dc9af32b66276d17a083",
        "3ffcf2db3aeaf59650a7659f51b257658913ebc25a4615a62405dc1c7c26303a",
    ];
    assert_eq!(got.map(hex), expected);
}

#[test]
fn the_shape_of_a_gradient_counts() {
    let shapes = [
        vec![],
        vec![vec![]],
        vec![vec![], vec![]],
        vec![vec![1.0, 2.0, 3.0]],
        vec![vec![1.0, 2.0], vec![3.0]],
        vec![vec![1.0], vec![2.0, 3.0]],
        vec![vec![1.0, 2.0, 3.0], vec![]],
        vec![vec![], vec![1.0, 2.0, 3.0]],
    ];
    assert_eq!(
        shapes.each_ref().map(|one| gradient_sha256(one)).iter().collect::<HashSet<_>>().len(),
        8
    );
    // As weights they hash to something else.
    let weights = WeightState { weights: shapes[3].clone(), rule: None };
    assert_ne!(weights.weights_sha256(), gradient_sha256(&shapes[3]));
}

#[test]
fn every_part_of_a_network_counts() {
    let spec = NetworkSpec::builtin("sphinx-mnist").unwrap();
    let mut others = vec![spec.clone(); 4];
    others[0].name.push('x');
    others[1].bias_bound = 2.0;
    others[2].layers.pop();
    others[3].input.height += 1;
    let hashes: HashSet<_> = others.iter().chain([&spec]).map(network_sha256).collect();
    assert_eq!(hashes.len(), 5);
    assert!(hashes.contains(&network_sha256(&spec.clone())));
}

#[test]
fn rejects_hashes_of_another_length() {
    assert_eq!(hash_from(&[7; 32]), Some([7; 32]));
    for length in [0, 31, 33] {
        assert_eq!(hash_from(&vec![7; length]), None);
    }
    assert_ne!(sealed_sha256(b""), sealed_sha256(b"\0"));
}
