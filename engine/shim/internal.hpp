// What the shim's own files share.
#pragma once

#include "shim.h"

#include "duckdb.hpp"
#include "duckdb/common/error_data.hpp"
#include "duckdb/common/file_system.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/parser/statement/select_statement.hpp"

struct dbl_engine {
	duckdb::unique_ptr<duckdb::DuckDB> database;
	duckdb::unique_ptr<duckdb::Connection> connection;
};

namespace duckblind {

//! Copies the text into memory that dbl_string_free frees. Null when there is none to be had.
char *CopyText(const duckdb::string &text) noexcept;

void Fill(dbl_error &error, dbl_kind kind, const duckdb::string &message) noexcept;
void Fill(dbl_error &error, duckdb::ErrorData data) noexcept;
//! For use in a catch block: describes the exception in flight.
void FillFromCurrent(dbl_error &error) noexcept;

//! Takes over the files: their release function runs when the file system goes.
duckdb::unique_ptr<duckdb::FileSystem> MakeFileSystem(const dbl_files &files);

duckdb::shared_ptr<duckdb::EncryptionUtil> MakeEncryptionUtil(const dbl_crypto &crypto);

//! Shows every table, function and unusual node of the statement to the judge; false when it refuses one.
bool Walk(const duckdb::SelectStatement &statement, const dbl_judge &judge);

} // namespace duckblind
