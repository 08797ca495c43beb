//! Tables of the storage engine with typed values. This is the only code that names a table definition of the engine, so every
//! value of every table passes the store's [`Codec`].

use super::codec::{Codec, Place};
use super::form::Form;
use super::keyed::Keyed;
use super::seq_key::SeqKey;
use crate::store::{BadRecord, StoreError};
use conductor_core::Seq;
use redb::{
    AccessGuard, Key, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition,
    TableError, TableHandle, Value, WriteTransaction,
};
use std::marker::PhantomData;
use std::ops::{Range, RangeBounds};
use std::sync::Arc;

/// The engine's type of every value.
type Sealed = &'static [u8];

/// A table: its name, the type of its keys, and the form of its values.
pub(super) struct Table<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<K, V> {}

impl<K, V> Table<K, V> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }
}

impl<K: Keyed, V: Form> Table<K, V> {
    fn definition(self) -> TableDefinition<'static, K, Sealed> {
        TableDefinition::new(self.name)
    }

    /// Opens the table. In a writing transaction a table can be open only once at a time.
    pub(super) fn of<T: Transaction>(self, txn: &T) -> Result<View<'_, T, K, V>, StoreError> {
        Ok(View { rows: txn.open(self.definition())?, codec: txn.codec(), table: self })
    }

    pub(super) fn get<T: Transaction>(
        self,
        txn: &T,
        key: K::SelfType<'_>,
    ) -> Result<Option<V::Taken>, StoreError> {
        self.of(txn)?.get(key)
    }

    pub(super) fn has<T: Transaction>(self, txn: &T, key: K::SelfType<'_>) -> Result<bool, StoreError> {
        self.of(txn)?.has(key)
    }

    /// Puts a value, and returns the replaced one.
    pub(super) fn put(
        self,
        txn: &Writing,
        key: K::SelfType<'_>,
        given: V::Given<'_>,
    ) -> Result<Option<V::Taken>, StoreError> {
        self.of(txn)?.put(key, given)
    }

    pub(super) fn remove(self, txn: &Writing, key: K::SelfType<'_>) -> Result<Option<V::Taken>, StoreError> {
        self.of(txn)?.remove(key)
    }

    /// Removes the table with all its rows.
    #[cfg(test)]
    pub(super) fn drop_from(self, txn: &Writing) -> Result<bool, StoreError> {
        Ok(txn.txn.delete_table(self.definition())?)
    }

    /// Every row in the engine's form: the key, and the stored value.
    #[cfg(test)]
    pub(super) fn raw(self, txn: &Reading) -> Result<RawRows, StoreError> {
        let rows = txn.open(self.definition())?;
        let bytes = |(key, value): (AccessGuard<'_, K>, AccessGuard<'_, Sealed>)| {
            (K::as_bytes(&key.value()).as_ref().to_vec(), value.value().to_vec())
        };
        rows.iter()?.map(|row| Ok(bytes(row?))).collect()
    }

    /// Puts a value in the engine's form.
    #[cfg(test)]
    pub(super) fn put_raw(self, txn: &Writing, key: K::SelfType<'_>, value: &[u8]) -> Result<(), StoreError> {
        txn.open(self.definition())?.insert(key, value)?;
        Ok(())
    }

    /// Puts every row of another store's table, whatever the codecs of the two, as long as `goes_on` is true.
    pub(super) fn copy(
        self,
        from: &Reading,
        to: &Writing,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<(), StoreError> {
        let mut view = self.of(to)?;
        for row in self.of(from)?.all()? {
            if !goes_on() {
                return Err(StoreError::GivenUp);
            }
            let row = row?;
            row.open(|name, value| {
                view.put_bytes(K::given(row.key(), name), value.to_vec(), |_| Ok(())).map(drop)
            })?;
        }
        Ok(())
    }

    /// Whether the table exists.
    pub(super) fn exists(self, txn: &impl Transaction) -> Result<bool, StoreError> {
        Ok(txn.names()?.iter().any(|name| name == self.name))
    }
}

/// Keys and values in the engine's form.
#[cfg(test)]
pub(super) type RawRows = Vec<(Vec<u8>, Vec<u8>)>;

/// A transaction with its store's codec.
pub(super) trait Transaction {
    /// An open table.
    type Rows<'t, K: Key + 'static>: ReadableTable<K, Sealed> + ReadableTableMetadata
    where
        Self: 't;

    fn open<K: Key + 'static>(
        &self,
        table: TableDefinition<'static, K, Sealed>,
    ) -> Result<Self::Rows<'_, K>, StoreError>;

    fn codec(&self) -> &dyn Codec;

    /// Names of the tables that exist.
    fn names(&self) -> Result<Vec<String>, StoreError>;
}

/// A reading transaction.
pub(super) struct Reading {
    pub(super) txn: ReadTransaction,
    pub(super) codec: Arc<dyn Codec>,
}

/// A writing transaction.
pub(super) struct Writing {
    pub(super) txn: WriteTransaction,
    pub(super) codec: Arc<dyn Codec>,
}

impl Transaction for Reading {
    type Rows<'t, K: Key + 'static> = ReadOnlyTable<K, Sealed>;

    fn open<K: Key + 'static>(
        &self,
        table: TableDefinition<'static, K, Sealed>,
    ) -> Result<Self::Rows<'_, K>, StoreError> {
        Ok(self.txn.open_table(table)?)
    }

    fn codec(&self) -> &dyn Codec {
        &*self.codec
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        Ok(value_tables(self.txn.list_tables()?.map(|table| table.name().to_owned())))
    }
}

impl Transaction for Writing {
    type Rows<'t, K: Key + 'static> = redb::Table<'t, K, Sealed>;

    fn open<K: Key + 'static>(
        &self,
        table: TableDefinition<'static, K, Sealed>,
    ) -> Result<Self::Rows<'_, K>, StoreError> {
        Ok(self.txn.open_table(table)?)
    }

    fn codec(&self) -> &dyn Codec {
        &*self.codec
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        Ok(value_tables(self.txn.list_tables()?.map(|table| table.name().to_owned())))
    }
}

/// The tables of values among all tables: a seal is none.
fn value_tables(names: impl Iterator<Item = String>) -> Vec<String> {
    names.filter(|name| name != SEAL_NAME).collect()
}

/// An open table.
pub(super) struct View<'t, T: Transaction + 't, K: Key + 'static, V> {
    rows: T::Rows<'t, K>,
    codec: &'t dyn Codec,
    table: Table<K, V>,
}

impl<'t, T: Transaction + 't, K: Keyed, V: Form> View<'t, T, K, V> {
    pub(super) fn get(&self, key: K::SelfType<'_>) -> Result<Option<V::Taken>, StoreError> {
        self.read(key, V::read)
    }

    /// Passes on the bytes of a value, without a copy if the codec needs none.
    pub(super) fn read<R>(
        &self,
        key: K::SelfType<'_>,
        work: impl FnOnce(&[u8]) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        K::stored(self.codec, self.table.name, key, |key, _| {
            let Some(found) = self.rows.get(&key)? else { return Ok(None) };
            let bytes = K::as_bytes(&key);
            let at = Place { table: self.table.name, key: bytes.as_ref() };
            opened::<K, V, R>(self.codec, at, found.value(), |_, value| work(value)).map(Some)
        })
    }

    pub(super) fn has(&self, key: K::SelfType<'_>) -> Result<bool, StoreError> {
        K::stored(self.codec, self.table.name, key, |key, _| Ok(self.rows.get(&key)?.is_some()))
    }

    pub(super) fn len(&self) -> Result<u64, StoreError> {
        Ok(self.rows.len()?)
    }

    /// The highest key.
    pub(super) fn last<N>(&self, of: impl FnOnce(K::SelfType<'_>) -> N) -> Result<Option<N>, StoreError> {
        Ok(self.rows.last()?.map(|(key, _)| of(key.value())))
    }

    pub(super) fn all(
        &self,
    ) -> Result<impl DoubleEndedIterator<Item = Result<Row<'_, K, V>, StoreError>>, StoreError> {
        let (codec, name) = (self.codec, self.table.name);
        let rows = self.rows.iter()?;
        Ok(rows.map(move |row| row.map(|row| Row::of(row, codec, name)).map_err(StoreError::from)))
    }

    pub(super) fn range<'a>(
        &self,
        range: impl RangeBounds<K::SelfType<'a>> + 'a,
    ) -> Result<impl DoubleEndedIterator<Item = Result<Row<'_, K, V>, StoreError>>, StoreError>
    where
        K: 'a,
    {
        let (codec, name) = (self.codec, self.table.name);
        let rows = self.rows.range(range)?;
        Ok(rows.map(move |row| row.map(|row| Row::of(row, codec, name)).map_err(StoreError::from)))
    }
}

/// A row of a table of names and numbers.
type Found<'r, V> = Result<Row<'r, (&'static str, SeqKey), V>, StoreError>;

impl<'t, T: Transaction + 't, V: Form> View<'t, T, (&'static str, SeqKey), V> {
    /// The rows of a name, by number.
    pub(super) fn of_name<'s>(
        &'s self,
        name: &str,
        numbers: Range<Seq>,
    ) -> Result<impl DoubleEndedIterator<Item = Found<'s, V>> + use<'s, 't, T, V>, StoreError> {
        let (codec, table) = (self.codec, self.table.name);
        let name = codec.hidden(table, name);
        let rows = self.rows.range((name.as_str(), numbers.start)..(name.as_str(), numbers.end))?;
        Ok(rows.map(move |row| row.map(|row| Row::of(row, codec, table)).map_err(StoreError::from)))
    }
}

impl<K: Keyed, V: Form> View<'_, Writing, K, V> {
    pub(super) fn put(
        &mut self,
        key: K::SelfType<'_>,
        given: V::Given<'_>,
    ) -> Result<Option<V::Taken>, StoreError> {
        self.put_bytes(key, V::write(given)?, V::read)
    }

    /// Puts the bytes of a value, and passes on those that they replace.
    fn put_bytes<R>(
        &mut self,
        key: K::SelfType<'_>,
        value: Vec<u8>,
        work: impl FnOnce(&[u8]) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        let (codec, table, rows) = (self.codec, self.table.name, &mut self.rows);
        K::stored(codec, table, key, |key, name| {
            let bytes = K::as_bytes(&key);
            let at = Place { table, key: bytes.as_ref() };
            // An empty value has nothing to hide: the key is the whole row.
            let stored = if V::EMPTY { value } else { codec.encode(at, with_name(name, value)?)? };
            let before = rows.insert(&key, stored.as_slice())?;
            before
                .map(|before| opened::<K, V, R>(codec, at, before.value(), |_, value| work(value)))
                .transpose()
        })
    }

    pub(super) fn remove(&mut self, key: K::SelfType<'_>) -> Result<Option<V::Taken>, StoreError> {
        let (codec, table, rows) = (self.codec, self.table.name, &mut self.rows);
        K::stored(codec, table, key, |key, _| {
            let Some(before) = rows.remove(&key)? else { return Ok(None) };
            let bytes = K::as_bytes(&key);
            let at = Place { table, key: bytes.as_ref() };
            opened::<K, V, _>(codec, at, before.value(), |_, value| V::read(value)).map(Some)
        })
    }

    /// Removes all rows.
    pub(super) fn clear(&mut self) -> Result<(), StoreError> {
        Ok(self.rows.retain(|_, _| false)?)
    }
}

/// A row of an open table.
pub(super) struct Row<'r, K: Key + 'static, V> {
    key: AccessGuard<'r, K>,
    value: AccessGuard<'r, Sealed>,
    codec: &'r dyn Codec,
    table: &'static str,
    form: PhantomData<fn() -> V>,
}

impl<'r, K: Keyed, V: Form> Row<'r, K, V> {
    fn of(
        pair: (AccessGuard<'r, K>, AccessGuard<'r, Sealed>),
        codec: &'r dyn Codec,
        table: &'static str,
    ) -> Self {
        let (key, value) = pair;
        Self { key, value, codec, table, form: PhantomData }
    }

    pub(super) fn key(&self) -> K::SelfType<'_> {
        self.key.value()
    }

    pub(super) fn value(&self) -> Result<V::Taken, StoreError> {
        self.read(V::read)
    }

    /// Passes on the bytes of the value.
    pub(super) fn read<R>(&self, work: impl FnOnce(&[u8]) -> Result<R, StoreError>) -> Result<R, StoreError> {
        self.open(|_, value| work(value))
    }

    fn open<R>(
        &self,
        work: impl FnOnce(Option<&str>, &[u8]) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let key = self.key.value();
        let bytes = K::as_bytes(&key);
        let at = Place { table: self.table, key: bytes.as_ref() };
        opened::<K, V, R>(self.codec, at, self.value.value(), work)
    }
}

impl<V: Form> Row<'_, &'static str, V> {
    /// The name that is the key, also where the key is hidden.
    pub(super) fn name(&self) -> Result<String, StoreError> {
        self.open(|name, _| Ok(name.unwrap_or_else(|| self.key.value()).to_owned()))
    }
}

/// A value behind the name that its key hides: the length of the name, the name, the value.
fn with_name(name: Option<&str>, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    let Some(name) = name else { return Ok(value) };
    let length = u16::try_from(name.len()).map_err(|_| StoreError::TooLarge)?;
    Ok([&length.to_be_bytes(), name.as_bytes(), &value].concat())
}

/// Passes on the name that a key hides, if it hides one, and the value.
fn opened<K: Keyed, V: Form, R>(
    codec: &dyn Codec,
    at: Place<'_>,
    stored: &[u8],
    work: impl FnOnce(Option<&str>, &[u8]) -> Result<R, StoreError>,
) -> Result<R, StoreError> {
    if V::EMPTY {
        return work(None, stored);
    }
    let value = codec.decode(at, stored)?;
    if !K::NAMED || !codec.hides() {
        return work(None, &value);
    }
    let (length, rest) = value.split_first_chunk::<2>().ok_or(BadRecord::Cut)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (name, value) = rest.split_at_checked(length).ok_or(BadRecord::Cut)?;
    work(Some(std::str::from_utf8(name).map_err(|_| BadRecord::Form)?), value)
}

/// Name of the table that no codec touches.
const SEAL_NAME: &str = "seal";

/// What a store says of its seal.
pub(super) const SEAL: Unsealed = Unsealed(TableDefinition::new(SEAL_NAME));

/// The one table that no codec touches: what a store says of its seal, by name.
pub(super) struct Unsealed(TableDefinition<'static, &'static str, Sealed>);

impl Unsealed {
    /// The values of these names; `None` if there is no such table.
    pub(super) fn get<const N: usize>(
        &self,
        txn: &ReadTransaction,
        names: [&str; N],
    ) -> Result<Option<[Option<Vec<u8>>; N]>, StoreError> {
        let table = match txn.open_table(self.0) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut found = [const { None }; N];
        for (found, name) in found.iter_mut().zip(names) {
            *found = table.get(name)?.map(|value| value.value().to_vec());
        }
        Ok(Some(found))
    }

    pub(super) fn put(&self, txn: &WriteTransaction, rows: &[(&str, &[u8])]) -> Result<(), StoreError> {
        let mut table = txn.open_table(self.0)?;
        for (name, value) in rows {
            table.insert(*name, *value)?;
        }
        Ok(())
    }
}

/// A table of an earlier layout, whose values the engine serialised itself.
pub(super) struct Former<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key + 'static, V: Value + 'static> Former<K, V> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// Passes on each row of the table, if it exists.
    pub(super) fn each(
        &self,
        txn: &Writing,
        mut work: impl FnMut(K::SelfType<'_>, V::SelfType<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if !txn.names()?.iter().any(|name| name == self.name) {
            return Ok(());
        }
        for row in txn.txn.open_table(TableDefinition::<K, V>::new(self.name))?.iter()? {
            let (key, value) = row?;
            work(key.value(), value.value())?;
        }
        Ok(())
    }

    /// Puts a value, as a program of that version did.
    #[cfg(test)]
    pub(super) fn put(
        &self,
        txn: &Writing,
        key: K::SelfType<'_>,
        value: V::SelfType<'_>,
    ) -> Result<(), StoreError> {
        txn.txn.open_table(TableDefinition::<K, V>::new(self.name))?.insert(key, value)?;
        Ok(())
    }

    /// The value of a key, if the table exists.
    pub(super) fn get<R>(
        &self,
        txn: &Reading,
        key: K::SelfType<'_>,
        work: impl FnOnce(V::SelfType<'_>) -> R,
    ) -> Result<Option<R>, StoreError> {
        match txn.txn.open_table(TableDefinition::<K, V>::new(self.name)) {
            Ok(table) => Ok(table.get(key)?.map(|value| work(value.value()))),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the table with all its rows.
    pub(super) fn drop_from(&self, txn: &Writing) -> Result<bool, StoreError> {
        Ok(txn.txn.delete_table(TableDefinition::<K, V>::new(self.name))?)
    }
}
