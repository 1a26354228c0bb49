//! Launch measurements.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use aws_lc_rs::{constant_time, digest};
use minicbor::{Decode, Decoder, Encode, Encoder};

/// SHA-384 over what was launched.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Measurement([u8; 48]);

impl Measurement {
    /// Length in bytes.
    pub const LEN: usize = 48;

    /// Takes the bytes as they are.
    pub const fn from_bytes(bytes: [u8; 48]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 48] {
        &self.0
    }

    /// What the simulated platform measures: SHA-384 of the enclave binary. Writers of a policy
    /// compute it from the file, the platform from its own running image.
    pub fn of_binary(mut file: impl Read) -> io::Result<Self> {
        let mut running = digest::Context::new(&digest::SHA384);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = file.read(&mut buffer)?;
            match buffer.get(..read) {
                None | Some([]) => break,
                Some(bytes) => running.update(bytes),
            }
        }
        let mut bytes = [0; 48];
        bytes.copy_from_slice(running.finish().as_ref());
        Ok(Self(bytes))
    }

    /// Whether `set` holds it; looks at every member in constant time.
    pub(crate) fn is_one_of<'a>(&self, set: impl Iterator<Item = &'a Self>) -> bool {
        set.fold(false, |found, one| {
            found | constant_time::verify_slices_are_equal(&self.0, &one.0).is_ok()
        })
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Measurement({self})")
    }
}

/// Text that is no measurement.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a measurement is 96 hex digits")]
pub struct NotAMeasurement;

impl FromStr for Measurement {
    type Err = NotAMeasurement;

    fn from_str(text: &str) -> Result<Self, NotAMeasurement> {
        let mut bytes = [0; 48];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAMeasurement)?;
        Ok(Self(bytes))
    }
}

impl serde::Serialize for Measurement {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Measurement {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<C> Encode<C> for Measurement {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Measurement {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?.try_into();
        bytes
            .map(Self)
            .map_err(|_| minicbor::decode::Error::message("wrong length of a measurement"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sha384_of_abc() {
        // FIPS 180-4, example values.
        assert_eq!(
            Measurement::of_binary(&b"abc"[..]).unwrap().to_string(),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7"
        );
    }

    #[test]
    fn membership() {
        let (a, b) = (Measurement([1; 48]), Measurement([2; 48]));
        assert!(b.is_one_of([a, b].iter()));
        assert!(!b.is_one_of([a].iter()));
        assert!(!b.is_one_of([].iter()));
    }

    #[test]
    fn text_round_trip() {
        let one = Measurement([7; 48]);
        assert_eq!(one.to_string().parse::<Measurement>().unwrap(), one);
        assert!("07".parse::<Measurement>().is_err());
    }
}
