use evenfold::prelude::*;

fn main() {
    struct Cents(u64);

    mod cents {
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        pub fn serialize<T, S: Serializer>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
            5.serialize(serializer)
        }

        pub fn deserialize<'de, T: From<u64>, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<T, D::Error> {
            u64::deserialize(deserializer).map(T::from)
        }
    }

    impl From<u64> for Cents {
        fn from(cents: u64) -> Self {
            Self(cents)
        }
    }

    #[derive(Message)]
    struct Deposited {
        #[serde(with = "cents")]
        amount: Cents,
    }

    assert_eq!((Deposited::TYPE, Deposited { amount: Cents(5) }.amount.0), ("Deposited", 5));
}
