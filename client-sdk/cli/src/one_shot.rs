//! Requests and answers of one-shot inference as JSON, for `request` and `decrypt`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sphinx_client::one_shot::{OneShotAnswer, OneShotRequest};

use crate::error::CliError;

/// A request in the JSON form of protobuf, which `grpcurl -d @` reads.
#[derive(Debug, Serialize)]
pub struct RequestJson {
    model_id: String,
    key_id: String,
    /// 64-bit numbers are strings there.
    version: String,
    incarnation: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    fingerprint: String,
    seed: String,
    bodies: String,
}

/// An answer as `grpcurl` prints it; it leaves zeros out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerJson {
    #[serde(default)]
    version: String,
    #[serde(default)]
    mask: String,
    #[serde(default)]
    bodies: String,
    #[serde(default)]
    logit_scale: f64,
    #[serde(default)]
    fingerprint: String,
}

impl From<OneShotRequest> for RequestJson {
    fn from(request: OneShotRequest) -> Self {
        let text = |bytes: Bytes| STANDARD.encode(bytes);
        Self {
            model_id: request.model_id.to_string(),
            key_id: request.key_id.to_string(),
            version: request.version.to_string(),
            incarnation: text(request.incarnation),
            fingerprint: request.fingerprint,
            seed: text(request.seed),
            bodies: text(request.bodies),
        }
    }
}

impl TryFrom<AnswerJson> for OneShotAnswer {
    type Error = CliError;

    fn try_from(answer: AnswerJson) -> Result<Self, CliError> {
        let bytes = |field: &str, text: &str| {
            let wrong =
                |error| CliError::Usage(format!("{field} of the answer is no base64: {error}"));
            STANDARD.decode(text).map(Bytes::from).map_err(wrong)
        };
        Ok(Self {
            mask: bytes("mask", &answer.mask)?,
            bodies: bytes("bodies", &answer.bodies)?,
            logit_scale: answer.logit_scale,
            fingerprint: answer.fingerprint,
            version: match answer.version.as_str() {
                "" => 0,
                text => text.parse().map_err(|error| {
                    CliError::Usage(format!("version of the answer is not a number: {error}"))
                })?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use sphinx_client::{KeyId, ModelId};

    use super::*;

    #[test]
    fn requests_are_written_as_grpcurl_reads_them() {
        let request = OneShotRequest {
            model_id: ModelId::parse("digits").unwrap(),
            key_id: KeyId::parse("mine").unwrap(),
            version: 1 << 60,
            incarnation: vec![0xff; 3].into(),
            fingerprint: String::new(),
            seed: vec![1, 2].into(),
            bodies: vec![].into(),
        };
        let json = serde_json::to_string(&RequestJson::from(request)).unwrap();
        let expected = r#"{"model_id":"digits","key_id":"mine","version":"1152921504606846976","incarnation":"////","seed":"AQI=","bodies":""}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn answers_are_read_as_grpcurl_writes_them() {
        let json = r#"{ "version": "7", "mask": "AQID", "bodies": "/w==", "logitScale": 4.5e+14, "fingerprint": "ab" }"#;
        let answer: AnswerJson = serde_json::from_str(json).unwrap();
        let answer = OneShotAnswer::try_from(answer).unwrap();
        assert_eq!((answer.mask.as_ref(), answer.bodies.as_ref()), (&[1, 2, 3][..], &[255][..]));
        assert_eq!((answer.logit_scale, answer.fingerprint.as_str()), (4.5e14, "ab"));
    }

    #[test]
    fn rejects_answers_that_are_none() {
        let answer: AnswerJson = serde_json::from_str(r#"{"mask": "???"}"#).unwrap();
        let error = OneShotAnswer::try_from(answer).unwrap_err();
        assert!(error.to_string().contains("mask of the answer is no base64"), "{error}");
    }
}
