//! Parameters of statements, each with its PostgreSQL type.
//!
//! With the types known, a statement is parsed, bound and executed in one message as the unnamed statement. No prepared
//! statement outlives its transaction, as PgBouncer requires in transaction mode.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::store::postgres::failure::Failure;

/// A parameter of a statement.
pub(super) trait Value: ToSql + Sync {
    /// Returns the type in PostgreSQL.
    fn sql_type(&self) -> Type;
    /// Returns the parameter as the client expects it.
    fn as_sql(&self) -> &(dyn ToSql + Sync);
}

/// A type whose values are parameters.
trait Typed: ToSql + Sync {
    /// The type in PostgreSQL.
    const TYPE: Type;
    /// The type of an array of these values.
    const ARRAY: Type;
}

macro_rules! typed {
    ($($rust:ty = $one:ident, $array:ident;)*) => { $(impl Typed for $rust {
        const TYPE: Type = Type::$one;
        const ARRAY: Type = Type::$array;
    })* };
}

typed! {
    &str = TEXT, TEXT_ARRAY;
    String = TEXT, TEXT_ARRAY;
    i64 = INT8, INT8_ARRAY;
    bool = BOOL, BOOL_ARRAY;
    &[u8] = BYTEA, BYTEA_ARRAY;
    Uuid = UUID, UUID_ARRAY;
}

impl<T: Typed> Typed for Option<T> {
    const TYPE: Type = T::TYPE;
    const ARRAY: Type = T::ARRAY;
}

impl<T: Typed> Value for T {
    fn sql_type(&self) -> Type {
        T::TYPE
    }
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        self
    }
}

/// An array, for statements that write many rows with `unnest`.
impl<T: Typed> Value for Vec<T> {
    fn sql_type(&self) -> Type {
        T::ARRAY
    }
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        self
    }
}

/// A statement with its parameters, already encoded: it cannot fail before it is sent. So a transaction can send its
/// commit right after it, without waiting for the reply.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: Cow<'static, str>,
    values: Vec<(Encoded, Type)>,
}

impl Statement {
    /// Encodes the parameters of a statement.
    ///
    /// # Errors
    /// When a parameter is longer than the protocol allows (2 GiB).
    pub(super) fn new(sql: impl Into<Cow<'static, str>>, values: &[&dyn Value]) -> Result<Self, Failure> {
        let encode = |value: &&dyn Value| {
            let (sql_type, mut bytes) = (value.sql_type(), BytesMut::new());
            let encoded = value.as_sql().to_sql_checked(&sql_type, &mut bytes);
            let is_null = encoded.map_err(|error| Failure::Refused(error.to_string()))?;
            Ok((Encoded(matches!(is_null, IsNull::No).then_some(bytes)), sql_type))
        };
        Ok(Self { sql: sql.into(), values: values.iter().map(encode).collect::<Result<_, Failure>>()? })
    }

    /// Returns the parameters as the client expects them.
    pub(super) fn values(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.values.iter().map(|(value, sql_type)| (value as &(dyn ToSql + Sync), sql_type.clone())).collect()
    }
}

/// An encoded parameter; `None` is null.
#[derive(Debug)]
struct Encoded(Option<BytesMut>);

impl ToSql for Encoded {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(bytes) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
