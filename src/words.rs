//! Enums whose values are words: the same ones in a column's CHECK list, on the command line and in JSON.

use crate::error::{Error, did_you_mean};

pub(crate) use rusqlite::types::{
    FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef,
};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident, $noun:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them, in the order of the column's CHECK list.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Returns the word that stands in the file.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::error::Error;
            fn from_str(word: &str) -> $crate::error::Result<Self> {
                $name::ALL.iter().copied().find(|it| it.as_str() == word)
                    .ok_or_else(|| $crate::words::unknown($noun, word, &[$($word,)*]))
            }
        }
        impl $crate::words::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<$crate::words::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
        impl $crate::words::FromSql for $name {
            fn column_result(value: $crate::words::ValueRef<'_>) -> $crate::words::FromSqlResult<Self> {
                value.as_str()?.parse().map_err(|error| $crate::words::FromSqlError::Other(Box::new(error)))
            }
        }
    )*};
}

pub(crate) use words;

/// The error for a word that is none of `known`.
pub(crate) fn unknown(what: &str, word: &str, known: &[&str]) -> Error {
    let error = Error::invalid(what, format!("\"{word}\" is none of {}", known.join(", ")));
    match did_you_mean(word, known.iter().copied()) {
        Some(meant) => error.with_hint(format!("did you mean \"{meant}\"?")),
        None => error,
    }
}
