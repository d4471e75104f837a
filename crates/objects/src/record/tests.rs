use super::*;

#[derive(Clone, PartialEq, Message)]
struct Note {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(bytes = "bytes", tag = "2")]
    blob: Bytes,
}

impl Record for Note {
    const TYPE: &'static str = "note";
    const FORMAT: u16 = 3;
}

#[derive(Clone, PartialEq, Message)]
struct NextNote {
    #[prost(string, tag = "1")]
    text: String,
}

impl Record for NextNote {
    const TYPE: &'static str = "note";
    const FORMAT: u16 = 4;
}

/// Of a program that still reads what the one before it has stored.
#[derive(Clone, PartialEq, Message)]
struct LaterNote {
    #[prost(string, tag = "1")]
    text: String,
}

impl Record for LaterNote {
    const TYPE: &'static str = "note";
    const FORMAT: u16 = 5;
    const READS: &[u16] = &[3, 5];
}

#[derive(Clone, PartialEq, Message)]
struct Other {}

impl Record for Other {
    const TYPE: &'static str = "sixteen-bytes-ok";
    const FORMAT: u16 = 3;
}

fn note() -> Note {
    Note { text: "hello".to_owned(), blob: Bytes::from_static(&[1, 2, 3]) }
}

#[test]
fn round_trip() {
    assert_eq!(unseal(seal(&note())), Ok(note()));
    assert_eq!(unseal(seal(&Other {})), Ok(Other {}));
}

#[test]
fn an_older_format_is_read_if_the_record_says_so() {
    let later = LaterNote { text: "hello".to_owned() };
    assert_eq!(unseal(seal(&note())), Ok(later.clone()));
    assert_eq!(unseal(seal(&later)), Ok(later));
}

#[test]
fn decoded_bytes_share_the_object() {
    let object = seal(&note());
    let range = object.as_ptr_range();
    let decoded: Note = unseal(object).unwrap();
    assert!(range.contains(&decoded.blob.as_ptr()));
}

/// The bytes of one record, written down once: objects stored by one version must be read by the
/// next.
#[test]
fn the_format_is_frozen() {
    let frozen = concat!(
        "535048494e584f42",                 // magic
        "0300",                             // format
        "6e6f7465000000000000000000000000", // type
        "0c00000000000000",                 // length
        "36310b66aa3c32caa93eefa551a65a74ff046a9ac0b63d0635d17fcec11a63a8",
        "0a0568656c6c6f1203010203", // message
    );
    assert_eq!(hex::encode(seal(&note())), frozen);
}

#[test]
fn rejects_every_flipped_bit() {
    let object = seal(&note());
    for bit in 0..object.len() * 8 {
        let mut bytes = object.to_vec();
        *bytes.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
        assert!(unseal::<Note>(bytes.into()).is_err(), "bit {bit}");
    }
}

#[test]
fn rejects_every_truncation_and_an_appended_byte() {
    let object = seal(&note());
    for len in 0..object.len() {
        let error = unseal::<Note>(object.slice(..len)).unwrap_err();
        let expected = if len < HEADER {
            RecordError::NoRecord { len }
        } else {
            RecordError::Length { got: (len - HEADER) as u64, expected: 12 }
        };
        assert_eq!(error, expected);
    }
    let longer = [&object[..], &[0]].concat();
    let error = RecordError::Length { got: 13, expected: 12 };
    assert_eq!(unseal::<Note>(longer.into()), Err(error));
}

#[test]
fn rejects_other_types_and_formats() {
    let kind = RecordError::Type { got: "note".to_owned(), expected: "sixteen-bytes-ok" };
    assert_eq!(unseal::<Other>(seal(&note())), Err(kind));
    let format = RecordError::Format { got: 3, expected: &[4] };
    assert_eq!(unseal::<NextNote>(seal(&note())), Err(format));
    let next = NextNote { text: "hello".to_owned() };
    let format = RecordError::Format { got: 4, expected: &[3, 5] };
    assert_eq!(unseal::<LaterNote>(seal(&next)), Err(format));
}

#[test]
fn rejects_a_sound_frame_around_nonsense() {
    #[derive(Clone, PartialEq, Message)]
    struct Number {
        #[prost(uint64, tag = "1")]
        text: u64,
    }
    impl Record for Number {
        const TYPE: &'static str = "note";
        const FORMAT: u16 = 3;
    }
    let error = unseal::<Note>(seal(&Number { text: 7 })).unwrap_err();
    assert!(matches!(error, RecordError::Message(_)));
}
