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

/// An answer in the JSON form of protobuf: names in either spelling, 64-bit numbers as strings or
/// numbers, zeros left out. Fields that no answer has are refused: one that is misspelled would be
/// taken for a zero.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswerJson {
    #[serde(default)]
    version: Number,
    mask: String,
    bodies: String,
    #[serde(alias = "logit_scale")]
    logit_scale: Number,
    #[serde(default)]
    fingerprint: String,
}

/// A number or its text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Real(f64),
    Text(String),
}

impl Default for Number {
    fn default() -> Self {
        Self::Whole(0)
    }
}

impl Number {
    fn text(&self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
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
            logit_scale: scale(&answer.logit_scale)?,
            fingerprint: answer.fingerprint,
            version: answer.version.text().parse().map_err(|error| {
                CliError::Usage(format!("version of the answer is not a number: {error}"))
            })?,
        })
    }
}

/// Integers per unit of a logit.
fn scale(number: &Number) -> Result<f64, CliError> {
    let text = number.text();
    match text.parse::<f64>() {
        Ok(scale) if scale.is_finite() && scale > 0.0 => Ok(scale),
        _ => Err(CliError::Usage(format!(
            "logit_scale of the answer is {text}, expected a positive number: the answer is damaged"
        ))),
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

    /// protobuf's JSON has two spellings of names and two of 64-bit numbers.
    #[test]
    fn answers_are_read_in_every_spelling() {
        for json in [
            r#"{"version": "7", "mask": "AQ==", "bodies": "Ag==", "logitScale": 4.5e+14}"#,
            r#"{"version": 7, "mask": "AQ==", "bodies": "Ag==", "logit_scale": 4.5e+14}"#,
            r#"{"version": 7, "mask": "AQ==", "bodies": "Ag==", "logit_scale": "4.5e14"}"#,
            r#"{"version": "7", "mask": "AQ==", "bodies": "Ag==", "logitScale": 450000000000000}"#,
        ] {
            let answer: AnswerJson = serde_json::from_str(json).unwrap();
            let answer = OneShotAnswer::try_from(answer).unwrap();
            assert_eq!((answer.version, answer.logit_scale), (7, 4.5e14), "{json}");
        }
    }

    #[test]
    fn rejects_answers_that_are_none() {
        let whole = r#""mask": "AQ==", "bodies": "Ag==""#;
        for (json, says) in [
            (r#"{"mask": "???", "bodies": "", "logitScale": 1}"#.to_owned(), "no base64"),
            (format!(r#"{{{whole}, "logitScale": 0}}"#), "logit_scale of the answer is 0"),
            (format!(r#"{{{whole}, "logitScale": "NaN"}}"#), "logit_scale of the answer is NaN"),
            (format!(r#"{{{whole}, "logitScale": 1, "version": -3}}"#), "not a number"),
            (format!(r#"{{{whole}}}"#), "missing field `logitScale`"),
            (format!(r#"{{{whole}, "logit-scale": 1}}"#), "unknown field `logit-scale`"),
            ("{}".to_owned(), "missing field `mask`"),
        ] {
            let read = serde_json::from_str::<AnswerJson>(&json).map_err(|error| error.to_string());
            let read = read.and_then(|answer| {
                OneShotAnswer::try_from(answer).map_err(|error| error.to_string())
            });
            let error = read.expect_err(&json);
            assert!(error.contains(says), "{json}: {error}");
        }
    }
}
