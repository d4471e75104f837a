//! Creating, listing and deleting models.

use sphinx_network::{NetworkSpec, Plan};
use sphinx_proto::v1::{
    Conv, CreateModelRequest, DeleteModelRequest, Dense, GetModelRequest, Pool, Tanh, layer::Kind,
};
use sphinx_wire::state::WeightState;
use tonic::Code;

use crate::common::{
    assert_refused, creation, network, network_of, of_tenant, start, start_with_model,
};
use crate::talk::Talk;

#[tokio::test]
async fn a_model_is_created_described_listed_and_deleted() {
    let mut trainer = start(|_| ()).await;
    let model = trainer.create("m").await.unwrap();
    assert_eq!((model.version, model.weights, model.biases), (0, 18 + 96, 2 + 3));
    assert_eq!(model.network, creation("m").network);
    assert!(model.created_unix_seconds > 1_700_000_000);
    trainer.create("another").await.unwrap();
    assert_eq!(trainer.models("default").await, ["another", "m"]);
    assert_eq!(trainer.part(None).await.unwrap().model, Some(model));

    let request = || DeleteModelRequest { model_id: "m".to_owned() };
    trainer.client.delete_model(request()).await.unwrap();
    assert_eq!(trainer.models("default").await, ["another"]);
    let status = trainer.client.delete_model(request()).await.unwrap_err();
    assert_refused(&status, Code::NotFound, "model m does not exist");
    assert_refused(&trainer.part(None).await.unwrap_err(), Code::NotFound, "model m");
}

#[tokio::test]
async fn the_same_request_is_accepted_again_until_the_first_commit() {
    let mut trainer = start(|_| ()).await;
    let model = trainer.create("m").await.unwrap();
    let before = trainer.parameters().await;
    assert_eq!(trainer.create("m").await.unwrap(), model);
    assert_eq!(trainer.parameters().await, before);

    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();
    let status = trainer.create("m").await.unwrap_err();
    assert_refused(&status, Code::AlreadyExists, "model m exists already");
    assert_eq!(trainer.parameters().await.version, 1);
}

#[tokio::test]
async fn rejects_another_model_under_a_used_name() {
    let mut trainer = start_with_model(|_| ()).await;
    let before = trainer.parameters().await;
    trainer.vault.register("default", "phone").await;
    let mut other_bound = creation("m");
    other_bound.network.as_mut().unwrap().bias_bound = 2.0;
    for request in [
        CreateModelRequest { seed: 8, ..creation("m") },
        CreateModelRequest { key_id: "phone".to_owned(), ..creation("m") },
        other_bound,
    ] {
        let status = trainer.create_as(request).await.unwrap_err();
        assert_refused(&status, Code::AlreadyExists, "model m exists already");
    }
    assert_eq!(trainer.parameters().await, before);
}

#[tokio::test]
async fn rejects_a_key_that_the_tenant_has_not_registered() {
    let mut trainer = start(|_| ()).await;
    let unknown = CreateModelRequest { key_id: "phone".to_owned(), ..creation("m") };
    let status = trainer.create_as(unknown).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "key phone is not registered");
    let foreign = of_tenant("acme", creation("m"));
    let status = trainer.client.create_model(foreign).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "not registered for tenant acme");
    assert!(trainer.models("default").await.is_empty());
}

#[tokio::test]
async fn a_model_is_made_of_the_weights_that_the_client_expects_or_not_at_all() {
    let mut trainer = start(|_| ()).await;
    let spec = NetworkSpec::try_from(network()).unwrap();
    let weights = WeightState::initial(&Plan::new(&spec).unwrap(), 7);
    let expecting = |seed, hash: &[u8]| CreateModelRequest {
        weights_sha256: hash.to_vec().into(),
        seed,
        ..creation("m")
    };
    let mut other = weights.clone();
    other.weights[1][95] = f32::from_bits(other.weights[1][95].to_bits() ^ 1);
    for request in [expecting(7, &other.weights_sha256()), expecting(8, &weights.weights_sha256())]
    {
        let status = trainer.create_as(request).await.unwrap_err();
        let words = "the seed stands for other weights here";
        assert_refused(&status, Code::FailedPrecondition, words);
        assert!(status.message().contains("use builds of the same release"), "{status:?}");
    }
    for length in [31, 33] {
        let status = trainer.create_as(expecting(7, &vec![1; length])).await.unwrap_err();
        let words = format!("weights_sha256 has length {length}: expected 32");
        assert_refused(&status, Code::InvalidArgument, &words);
    }
    assert!(trainer.models("default").await.is_empty());
    trainer.create_as(expecting(7, &weights.weights_sha256())).await.unwrap();
    assert_eq!(trainer.state().await.weights_sha256, weights.weights_sha256()[..]);
    assert_eq!(trainer.weights(1).await, weights.weights[1]);
}

#[tokio::test]
async fn rejects_impossible_networks_and_names_the_layer() {
    let mut trainer = start(|_| ()).await;
    let conv = |kernel| Kind::Conv(Conv { out_channels: 2, kernel, stride: 1, ..Conv::default() });
    let dense = |outputs| Kind::Dense(Dense { outputs });
    let tanh = Kind::Tanh(Tanh {});
    let cases = [
        (vec![conv(7), tanh, dense(3)], "layers[0] (conv) got a map of 1x6x6"),
        (vec![conv(3), tanh, conv(5), tanh, dense(3)], "layers[2] (conv) got a map of 2x4x4"),
        (
            vec![conv(3), Kind::MaxPool(Pool { size: 3, stride: 0 }), tanh, dense(3)],
            "layers[1] (max_pool)",
        ),
        (vec![conv(0), tanh, dense(3)], "layers[0] (conv): kernel is 0"),
        (vec![dense(4), dense(3)], "layers[1] (dense)"),
        (vec![conv(3), tanh], "the last linear layer is layers[0] (conv)"),
        (vec![dense(1)], "layers[0] (dense) yields 1 logit"),
        (vec![dense(u32::MAX)], "layers[0] (dense)"),
        (vec![], "layer"),
    ];
    for (layers, words) in cases {
        let network = Some(network_of(layers));
        let request = CreateModelRequest { network, ..creation("m") };
        let status = trainer.create_as(request).await.unwrap_err();
        assert_refused(&status, Code::InvalidArgument, words);
    }
    assert!(trainer.models("default").await.is_empty());
    trainer.create("m").await.unwrap();
}

#[tokio::test]
async fn rejects_malformed_requests() {
    let mut trainer = start(|_| ()).await;
    let good = || creation("m");
    let mut nan = good();
    nan.network.as_mut().unwrap().bias_bound = f32::NAN;
    let mut no_kind = good();
    no_kind.network.as_mut().unwrap().layers[0].kind = None;
    let cases = [
        (creation(""), "model_id is \"\""),
        (creation("../m"), "model_id is \"../m\""),
        (CreateModelRequest { key_id: "A".to_owned(), ..good() }, "key_id is \"A\""),
        (CreateModelRequest { parameter_set: 0, ..good() }, "parameter_set is 0"),
        (CreateModelRequest { parameter_set: 9, ..good() }, "parameter_set is 9"),
        (CreateModelRequest { network: None, ..good() }, "network is missing"),
        (nan, "bias_bound is NaN"),
        (no_kind, "network.layers.kind is missing"),
    ];
    for (request, words) in cases {
        let status = trainer.create_as(request).await.unwrap_err();
        assert_refused(&status, Code::InvalidArgument, words);
        assert!(status.metadata().contains_key("x-request-id"));
    }
    assert!(trainer.models("default").await.is_empty());
}

#[tokio::test]
async fn rejects_networks_larger_than_the_limits() {
    let mut trainer = start(|config| config.limits.max_stage_rows = 35).await;
    let status = trainer.create("m").await.unwrap_err();
    let words = "36 rows in its largest layer, this service takes at most 35";
    assert_refused(&status, Code::InvalidArgument, words);

    let mut trainer = start(|config| config.limits.max_weights = 113).await;
    let status = trainer.create("m").await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, "114 weights, this service takes at most 113");
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let mut trainer = start_with_model(|_| ()).await;
    trainer.vault.register("acme", "laptop").await;
    assert!(trainer.models("acme").await.is_empty());
    let request = || GetModelRequest { model_id: "m".to_owned(), ..GetModelRequest::default() };
    let status = trainer.client.get_model(of_tenant("acme", request())).await.unwrap_err();
    assert_refused(&status, Code::NotFound, "model m does not exist");
    let deletion = of_tenant("acme", DeleteModelRequest { model_id: "m".to_owned() });
    assert_eq!(trainer.client.delete_model(deletion).await.unwrap_err().code(), Code::NotFound);

    let mut theirs = creation("m");
    theirs.seed = 99;
    trainer.client.create_model(of_tenant("acme", theirs)).await.unwrap();
    let ours = trainer.parameters().await;
    let deletion = of_tenant("acme", DeleteModelRequest { model_id: "m".to_owned() });
    trainer.client.delete_model(deletion).await.unwrap();
    assert_eq!(trainer.models("default").await, ["m"]);
    assert_eq!(trainer.parameters().await, ours);
}

#[tokio::test]
async fn says_which_key_vault_does_not_answer() {
    let mut trainer = start(|_| ()).await;
    let address = trainer.vault.running.url.clone();
    let vault = std::mem::replace(&mut trainer.vault, crate::common::Vault::start().await);
    vault.running.stop().await;
    let status = trainer.create("m").await.unwrap_err();
    assert_refused(&status, Code::Unavailable, &address);
    assert!(trainer.models("default").await.is_empty());
}
