//! Tables of the storage engine with typed values. This is the only code that names a table definition of the engine, so every
//! value of every table passes the store's [`Codec`].

use super::codec::{Codec, Place};
use super::form::Form;
use crate::store::StoreError;
use redb::{
    AccessGuard, Key, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition,
    TableError, TableHandle, Value, WriteTransaction,
};
use std::marker::PhantomData;
use std::ops::RangeBounds;
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

impl<K: Key + 'static, V: Form> Table<K, V> {
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
        Ok(self.txn.list_tables()?.map(|table| table.name().to_owned()).collect())
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
        Ok(self.txn.list_tables()?.map(|table| table.name().to_owned()).collect())
    }
}

/// An open table.
pub(super) struct View<'t, T: Transaction + 't, K: Key + 'static, V> {
    rows: T::Rows<'t, K>,
    codec: &'t dyn Codec,
    table: Table<K, V>,
}

#[expect(clippy::needless_pass_by_value, reason = "keys are numbers and borrowed text, or a pair of them")]
impl<'t, T: Transaction + 't, K: Key + 'static, V: Form> View<'t, T, K, V> {
    pub(super) fn get(&self, key: K::SelfType<'_>) -> Result<Option<V::Taken>, StoreError> {
        self.read(key, V::read)
    }

    /// Passes on the bytes of a value, without a copy if the codec needs none.
    pub(super) fn read<R>(
        &self,
        key: K::SelfType<'_>,
        work: impl FnOnce(&[u8]) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        let Some(found) = self.rows.get(&key)? else { return Ok(None) };
        opened(self.codec, self.table.name, K::as_bytes(&key).as_ref(), found.value(), work).map(Some)
    }

    pub(super) fn has(&self, key: K::SelfType<'_>) -> Result<bool, StoreError> {
        Ok(self.rows.get(key)?.is_some())
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

#[expect(clippy::needless_pass_by_value, reason = "keys are numbers and borrowed text, or a pair of them")]
impl<K: Key + 'static, V: Form> View<'_, Writing, K, V> {
    pub(super) fn put(
        &mut self,
        key: K::SelfType<'_>,
        given: V::Given<'_>,
    ) -> Result<Option<V::Taken>, StoreError> {
        let (codec, name) = (self.codec, self.table.name);
        let bytes = K::as_bytes(&key).as_ref().to_vec();
        let sealed = codec.encode(Place { table: name, key: &bytes }, V::write(given)?)?;
        let before = self.rows.insert(&key, sealed.as_slice())?;
        before.map(|before| opened(codec, name, &bytes, before.value(), V::read)).transpose()
    }

    pub(super) fn remove(&mut self, key: K::SelfType<'_>) -> Result<Option<V::Taken>, StoreError> {
        let (codec, name) = (self.codec, self.table.name);
        let Some(before) = self.rows.remove(&key)? else { return Ok(None) };
        opened(codec, name, K::as_bytes(&key).as_ref(), before.value(), V::read).map(Some)
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

impl<'r, K: Key + 'static, V: Form> Row<'r, K, V> {
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
        let key = self.key.value();
        opened(self.codec, self.table, K::as_bytes(&key).as_ref(), self.value.value(), work)
    }
}

fn opened<R>(
    codec: &dyn Codec,
    table: &'static str,
    key: &[u8],
    sealed: &[u8],
    work: impl FnOnce(&[u8]) -> Result<R, StoreError>,
) -> Result<R, StoreError> {
    work(&codec.decode(Place { table, key }, sealed)?)
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
