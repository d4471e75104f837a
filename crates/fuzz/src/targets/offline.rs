//! Files of recognition in one shot that travel by themselves: models, requests, answers.

use sphinx_network::NetworkSpec;
use sphinx_offline::{
    Keys, Model, ModelFile, read_answer, read_request, write_answer, write_request,
};
use sphinx_proto::v1::{InferOnceRequest, InferOnceResponse, Network, OneShotBiases};
use sphinx_testbed::training;

use super::stored::framed;

/// Any of the three: as the bytes are, and with length and hash made right.
pub(crate) fn files(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), framed(bytes)] {
        let _ = (read_request(bytes.clone().into()), read_answer(bytes.clone().into()));
        if let Ok(file) = ModelFile::from_bytes(bytes.clone().into()) {
            let _ = Model::new(file).map(|model| model.neurons());
        }
        let _ = Keys::from_bytes(&bytes);
    }
}

pub(crate) fn file_seeds() -> Vec<Vec<u8>> {
    let (model_id, key_id) = ("m".to_owned(), "k".to_owned());
    let request = InferOnceRequest {
        model_id: model_id.clone(),
        key_id: key_id.clone(),
        version: Some(1),
        seed: vec![1; 16].into(),
        bodies: vec![2; 64].into(),
        ..InferOnceRequest::default()
    };
    let answer = InferOnceResponse { version: 1, mask: vec![3; 64].into(), ..Default::default() };
    let model = |spec: &NetworkSpec| ModelFile {
        model_id: model_id.clone(),
        key_id: key_id.clone(),
        version: 1,
        incarnation: vec![5; 16].into(),
        network: Some(Network::from(spec)),
        weights: vec![vec![0; 4 * 64].into(), vec![0; 4 * 40].into()],
        biases: vec![OneShotBiases::default(); 2],
    };
    let linear = NetworkSpec::builtin("deskew-linear").unwrap();
    let files = [
        write_request(request),
        write_answer(answer),
        model(&training::small()).to_bytes(),
        model(&linear).to_bytes(),
    ];
    files.map(|file| file.to_vec()).into()
}
