//! The stable error codes of this crate, all in one place.

macro_rules! codes {
    ($($name:ident = $text:literal, $about:literal;)*) => {
        /// One way in which data at rest can fail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum LakeCode {
            $(#[doc = $about] $name,)*
        }

        impl LakeCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Such as `DB-LAK-001`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// One sentence on what happened.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }
        }
    };
}

codes! {
    KeyFileIo = "DB-LAK-001", "A key file cannot be read or written.";
    KeyFileMode = "DB-LAK-002", "A key file is open to others than its owner.";
    KeyFileForm = "DB-LAK-003", "A key file is not what a key file should be.";
    KeyMissing = "DB-LAK-004", "No key is known under the wanted id.";
    KeyExists = "DB-LAK-005", "There is a key under this id already.";
    KeyUnwrap = "DB-LAK-006", "A wrapped data key does not open with the table key.";
    KeyLength = "DB-LAK-007", "A key has a length that AES does not know.";
    Randomness = "DB-LAK-008", "The system gave no randomness.";
    TableName = "DB-LAK-009", "A table name is not allowed.";
    KeyCollision = "DB-LAK-010", "Two key ids share one environment variable, and it is set.";
    KeySame = "DB-LAK-011", "A key that should be new is the old one.";
    KeyMaterial = "DB-LAK-012", "Key material of a file encrypted elsewhere does not open.";
    ManifestSize = "DB-LAK-020", "A manifest is larger than any manifest may be.";
    ManifestForm = "DB-LAK-021", "A manifest does not parse.";
    ManifestVersion = "DB-LAK-022", "A manifest has a version that is not known here.";
    ManifestNotCanonical = "DB-LAK-023", "A manifest is not in its one canonical form.";
    ManifestDigest = "DB-LAK-024", "A manifest is not the one that was asked for.";
    ManifestOwner = "DB-LAK-025", "A manifest names another owner.";
    ManifestSignature = "DB-LAK-026", "A manifest's signature does not hold.";
    ManifestContent = "DB-LAK-027", "A manifest says something that it may not say.";
    InputMissing = "DB-LAK-040", "An input of the sealer cannot be opened or read.";
    InputFormat = "DB-LAK-041", "An input is in no format that can be sealed.";
    InputMalformed = "DB-LAK-042", "An input is malformed at a place that the error names.";
    InputSchema = "DB-LAK-043", "The inputs do not fit together as one table.";
    InputEncrypted = "DB-LAK-044", "An input is encrypted already.";
    OutputExists = "DB-LAK-045", "The output already holds a sealed table.";
    OutputIo = "DB-LAK-046", "The output cannot be written.";
    OutputParquet = "DB-LAK-047", "The data cannot be written as Parquet.";
    OutputClear = "DB-LAK-048", "A file just sealed has something in the clear.";
    OutputTooLarge = "DB-LAK-049", "The table needs more files than one manifest may name.";
    InputColumn = "DB-LAK-050", "A type or a delimiter is given for a column or a file that is not there.";
    InputType = "DB-LAK-051", "A value does not have the type given for its column.";
    NoSuchColumn = "DB-LAK-052", "A column to encrypt, sort or partition by is not there, or not the only one of its name.";
    NothingEncrypted = "DB-LAK-053", "A table would be sealed with nothing in it encrypted.";
    LayoutColumn = "DB-LAK-054", "A table cannot be sorted or partitioned by a column of this type.";
    PartitionEncrypted = "DB-LAK-055", "A column to partition by is to be encrypted too.";
    PartitionPath = "DB-LAK-056", "A value is too long for the name of a partition's directory.";
    Spill = "DB-LAK-057", "Temporary data of sorting did not come back as it was.";
    FileIo = "DB-LAK-060", "A sealed file cannot be read.";
    FileSize = "DB-LAK-061", "A sealed file has another size than its manifest says.";
    FilePlaintext = "DB-LAK-062", "A file that should be sealed is in the clear.";
    FileNotParquet = "DB-LAK-063", "A file is no Parquet file.";
    FileTruncated = "DB-LAK-064", "A sealed file ends too early.";
    FooterDigest = "DB-LAK-065", "A sealed file's footer is not the one in the manifest.";
    KeyWrong = "DB-LAK-066", "A sealed file's footer does not open with the key given.";
    Algorithm = "DB-LAK-067", "A file is encrypted with an unknown algorithm.";
    AadPrefix = "DB-LAK-068", "A sealed file and its manifest disagree about the AAD prefix.";
    CryptoForm = "DB-LAK-069", "A sealed file's crypto metadata is malformed.";
    FooterForm = "DB-LAK-070", "A sealed file's footer is malformed.";
    ColumnClear = "DB-LAK-071", "A column of a sealed file is in the clear.";
    Layout = "DB-LAK-073", "A sealed file's column chunks lie where they cannot lie.";
    DataTampered = "DB-LAK-074", "A page does not authenticate.";
    PageForm = "DB-LAK-075", "A page header is malformed.";
    ColumnKeyMissing = "DB-LAK-076", "The key of a column is missing.";
    ColumnKeyWrong = "DB-LAK-077", "A column does not open with the key given.";
    Unauthenticated = "DB-LAK-078", "A column carries no tags, and no digest of it is known.";
    ChunkDigest = "DB-LAK-079", "A stored column chunk is not the one in the manifest.";
    FooterSignature = "DB-LAK-080", "The signature of a footer in the clear does not hold.";
    FooterKeyMissing = "DB-LAK-081", "The key of a sealed file's footer is missing.";
    ColumnDowngraded = "DB-LAK-082", "A column that has a key of its own is under the footer's key.";
    TableMissing = "DB-LAK-090", "A directory holds no sealed table.";
    TableIo = "DB-LAK-091", "A table's directory cannot be read or written.";
    TableLocked = "DB-LAK-092", "Another writer is at work on the table.";
    TableChanged = "DB-LAK-093", "A table was changed by somebody who did not hold its lock.";
    TableRolledBack = "DB-LAK-094", "A table's current snapshot is older than one that it keeps.";
    SnapshotMissing = "DB-LAK-095", "A table does not have the snapshot.";
    SnapshotChain = "DB-LAK-096", "A kept snapshot is not the one that the table's history names.";
    TableFile = "DB-LAK-097", "A file of a table cannot be used.";
    TableSchema = "DB-LAK-098", "Rows do not fit the table.";
    TableNothing = "DB-LAK-099", "There is nothing to do.";
    FileUnknown = "DB-LAK-100", "A table has no such file or column.";
    ImportKey = "DB-LAK-101", "A key of a file to be imported is not known.";
    ImportFile = "DB-LAK-102", "A file to be imported cannot be used.";
    ImportLayout = "DB-LAK-103", "A directory does not have the layout that is to be imported.";
    ImportMixed = "DB-LAK-104", "Files to be imported do not fit together as one table.";
    ImportColumn = "DB-LAK-105", "A column of a file to be imported does not have the key of its own that was asked for.";
    ImportNames = "DB-LAK-106", "Columns to be imported have names that are equal but for upper and lower case.";
}

#[cfg(test)]
mod tests {
    use super::LakeCode;

    #[test]
    fn codes_are_unique_and_ascending() {
        let texts: Vec<_> = LakeCode::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.windows(2).all(|pair| pair.first() < pair.last()));
        assert!(
            texts
                .iter()
                .all(|text| text.starts_with("DB-LAK-") && text.len() == 10)
        );
    }
}
