use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_data::Classes;
use sphinx_optimizer::{Decay, OptimizerSpec, Schedule};
use sphinx_secret::{ModelName, RootKey};

use super::*;

fn spec() -> NetworkSpec {
    NetworkSpec::builtin("mlp-100").unwrap()
}

fn model() -> ModelId {
    ModelId::parse("digits").unwrap()
}

fn key() -> ReadKey {
    let root = RootKey::generate(&mut ChaCha20Rng::seed_from_u64(1));
    let name = ModelName { tenant: "me".into(), model: "digits".into(), incarnation: [3; 16] };
    root.read_key(&name)
}

fn binding() -> Binding {
    Binding {
        incarnation: [3; 16],
        version: 7,
        previous: [1; 32],
        network: [2; 32],
        weights: [4; 32],
        optimizer: [5; 32],
    }
}

fn state() -> ClientState {
    let plan = Plan::new(&spec()).unwrap();
    let mut state = ClientState::initial(&plan);
    state.biases[0][3] = 0.25;
    let schedule = Schedule { peak: 0.1, decay: Decay::Constant, warmup: 0, total: 9 };
    let optimizer = OptimizerSpec::ADAM;
    let rule = TrainingRule { optimizer, schedule, averaging: Some(0.9) };
    let mut rule = RuleState::new(rule, &state.biases).unwrap();
    let gradient: Vec<Vec<f32>> = state.biases.iter().map(|b| vec![0.5; b.len()]).collect();
    let mut stepped = state.biases.clone();
    rule.step(&rule.rates(0), &mut stepped, &gradient).unwrap();
    let session = SessionPosition { id: SessionId([9; 16]), steps: 4, finished: false };
    let pipeline = Some(Pipeline::digit(Classes::numbered(10)));
    ClientState { biases: state.biases, rule: Some(rule), session: Some(session), pipeline }
}

#[test]
fn what_is_sealed_is_opened_at_its_place_alone() {
    let (key, state) = (key(), state());
    let sealed = state.seal(&key, &model(), &binding());
    let open = |model: &ModelId, binding: &Binding, sealed: &[u8]| {
        ClientState::open(&key, &spec(), model, binding, sealed)
    };
    assert!(open(&model(), &binding(), &sealed).unwrap() == state);
    let other = ModelId::parse("letters").unwrap();
    assert!(open(&other, &binding(), &sealed).is_err());
    for binding in [
        Binding { incarnation: [4; 16], ..binding() },
        Binding { version: 8, ..binding() },
        Binding { previous: [2; 32], ..binding() },
        Binding { network: [3; 32], ..binding() },
        Binding { weights: [5; 32], ..binding() },
        Binding { optimizer: [6; 32], ..binding() },
    ] {
        let error = open(&model(), &binding, &sealed).unwrap_err();
        assert!(matches!(error, ClientError::State(StateError::Sealed { .. })), "{error}");
    }
    for index in [0, 1, 30, sealed.len() - 1] {
        let mut altered = sealed.clone();
        altered[index] ^= 1;
        assert!(open(&model(), &binding(), &altered).is_err(), "{index}");
    }
}

#[test]
fn rejects_biases_that_are_not_the_networks() {
    let key = key();
    let mut large = state();
    large.biases[1][0] = 4.5;
    let mut nan = state();
    nan.biases[1][0] = f32::NAN;
    let mut short = state();
    short.biases[1].pop();
    for state in [large, nan, short] {
        let sealed = state.seal(&key, &model(), &binding());
        let error = ClientState::open(&key, &spec(), &model(), &binding(), &sealed).unwrap_err();
        assert!(matches!(error, ClientError::State(StateError::Contents { .. })), "{error}");
    }
}

#[test]
fn debug_shows_no_biases() {
    let shown = format!("{:?}", state());
    assert!(!shown.contains("0.25"), "{shown}");
}

#[test]
fn pipelines_grow_and_those_of_later_releases_are_not_guessed() {
    let (key, plain) = (key(), ClientState { pipeline: None, ..state() });
    let open = |message: &Sealed| {
        let sealed = key.seal(
            &binding().associated_data(&model()),
            &message.encode_to_vec(),
            &mut crate::secure_rng(),
        );
        ClientState::open(&key, &spec(), &model(), &binding(), &sealed)
    };
    let sealed = plain.seal(&key, &model(), &binding());
    let opened = key.open(&binding().associated_data(&model()), &sealed).unwrap();
    let mut message = Sealed::decode(&opened[..]).unwrap();
    assert!(open(&message).unwrap().pipeline.is_none());
    let shape = r#""shape":{"channels":3,"height":8,"width":9}"#;
    message.pipeline = format!("{{{shape},\"classes\":[\"a\",\"b\"],\"new\":1}}").into();
    let pipeline = open(&message).unwrap().pipeline.unwrap();
    assert_eq!(pipeline, Pipeline::plain(pipeline.shape, Classes::named(["a", "b"])));
    message.pipeline =
        format!("{{{shape},\"classes\":[\"a\",\"b\"],\"preparation\":\"face\"}}").into();
    let error = open(&message).unwrap_err();
    assert!(matches!(error, ClientError::State(StateError::Contents { .. })), "{error}");
}
