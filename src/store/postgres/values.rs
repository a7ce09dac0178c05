//! Parameters of statements, each with its PostgreSQL type.
//!
//! With the types known, a statement is parsed, bound and executed in one message as the unnamed statement. No prepared
//! statement outlives its transaction, as PgBouncer requires in transaction mode.

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

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
