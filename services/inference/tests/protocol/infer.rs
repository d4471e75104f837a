//! `Infer`: results against the definition, and what is refused.

use sphinx_linalg::{LinearMap, pack_bits, packed_bits_len, unpack_bits};
use sphinx_proto::v1::InferRequest;
use tonic::Code;

use crate::service::{INPUTS, Service};

/// Makes a good question bad.
type Change = fn(&mut InferRequest);

/// The map modulo 2^t from its definition.
fn apply(map: &LinearMap, values: &[u32], bits: u32) -> Vec<u32> {
    let mut results = vec![0u64; map.outputs()];
    for group in map.groups() {
        for patch in group.patches.iter() {
            for (lane, &row) in patch.scatter.iter().enumerate() {
                let weights = &group.weights[lane * group.taps..][..group.taps];
                for (&weight, &from) in weights.iter().zip(&patch.gather) {
                    let product = i64::from(weight).wrapping_mul(i64::from(values[from as usize]));
                    results[row as usize] =
                        results[row as usize].wrapping_add(product.cast_unsigned());
                }
            }
        }
    }
    results.iter().map(|sum| (sum & ((1 << bits) - 1)) as u32).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_those_of_the_definition() {
    let mut service = Service::start().await;
    for stage in 0..2 {
        let described = service.described.stages[stage].clone();
        let (inputs, outputs) = (described.inputs as usize, described.outputs as usize);
        let bits = described.modulus_bits;
        let size = packed_bits_len(inputs, bits);
        // One image is answered where it arrives, 3000 by the compute pool.
        for images in [1, 3, 3000] {
            let mut values = vec![0; images * size];
            rand::Rng::fill_bytes(&mut service.rng, &mut values);
            let question = service.question(stage as u32, images as u32, values.clone());
            let answer = service.client.infer(question).await.unwrap().into_inner();
            assert_eq!(answer.version, 0);
            let result_size = packed_bits_len(outputs, bits);
            assert_eq!(answer.values.len(), images * result_size);
            let pairs = values.chunks(size).zip(answer.values.chunks(result_size));
            for (values, results) in pairs {
                let mut words = vec![0; inputs];
                unpack_bits(values, bits, &mut words);
                let mut expected = vec![0; result_size];
                pack_bits(&apply(&service.maps[stage], &words, bits), bits, &mut expected);
                assert_eq!(results, expected);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_questions_that_do_not_fit() {
    let mut service = Service::start().await;
    let size = packed_bits_len(INPUTS, service.described.stages[0].modulus_bits);
    let good = service.question(0, 1, vec![0; size]);
    let with = |change: Change| {
        let mut question = good.clone();
        change(&mut question);
        question
    };
    let cases: [(Change, Code); 10] = [
        (|question| question.values = question.values.slice(1..), Code::InvalidArgument),
        (|question| question.images = 2, Code::InvalidArgument),
        (|question| question.images = 0, Code::InvalidArgument),
        (|question| question.images = u32::MAX, Code::InvalidArgument),
        (|question| question.stage = 2, Code::InvalidArgument),
        (|question| question.incarnation = vec![].into(), Code::InvalidArgument),
        (|question| question.incarnation = vec![8; 16].into(), Code::FailedPrecondition),
        (|question| question.key_id = "another".to_owned(), Code::FailedPrecondition),
        (|question| question.version = 9, Code::NotFound),
        (|question| question.model_id = "nobody".to_owned(), Code::NotFound),
    ];
    for (index, (change, code)) in cases.into_iter().enumerate() {
        let refused = service.client.infer(with(change)).await.unwrap_err();
        assert_eq!(refused.code(), code, "case {index}: {}", refused.message());
    }
    // Another tenant has no such model.
    let mut foreign = tonic::Request::new(good.clone());
    foreign.metadata_mut().insert("x-sphinx-tenant", "other".parse().unwrap());
    assert_eq!(service.client.infer(foreign).await.unwrap_err().code(), Code::NotFound);
    assert!(service.client.infer(good).await.is_ok());
}
