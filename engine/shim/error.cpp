// DuckDB's errors, sorted into the kinds that the Rust side tells apart.

#include "internal.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

namespace duckblind {

using duckdb::ErrorData;
using duckdb::ExceptionType;
using duckdb::string;

char *CopyText(const string &text) noexcept {
	auto copy = static_cast<char *>(std::malloc(text.size() + 1));
	if (copy) {
		std::memcpy(copy, text.data(), text.size());
		copy[text.size()] = '\0';
	}
	return copy;
}

void Fill(dbl_error &error, dbl_kind kind, const string &message) noexcept {
	error.kind = kind;
	error.position = -1;
	error.message = CopyText(message);
	error.name = nullptr;
}

static string Detail(const ErrorData &data, const char *key) {
	auto entry = data.ExtraInfo().find(key);
	return entry == data.ExtraInfo().end() ? string() : entry->second;
}

static dbl_kind KindOf(const ErrorData &data) {
	auto subtype = Detail(data, "error_subtype");
	switch (data.Type()) {
	case ExceptionType::PARSER:
	case ExceptionType::SYNTAX:
		return DBL_SYNTAX;
	case ExceptionType::CATALOG: {
		auto type = duckdb::StringUtil::Lower(Detail(data, "type"));
		if (subtype == "MISSING_ENTRY" && (type == "table" || type == "view")) {
			return DBL_UNKNOWN_TABLE;
		}
		return DBL_SQL;
	}
	case ExceptionType::BINDER:
		return subtype == "COLUMN_NOT_FOUND" ? DBL_UNKNOWN_COLUMN : DBL_SQL;
	case ExceptionType::OUT_OF_MEMORY:
		return DBL_OUT_OF_MEMORY;
	case ExceptionType::INTERRUPT:
		return DBL_INTERRUPTED;
	case ExceptionType::PERMISSION:
		return DBL_PERMISSION;
	case ExceptionType::IO:
	case ExceptionType::DATA_CORRUPTION:
		return DBL_IO;
	case ExceptionType::FATAL:
	case ExceptionType::INTERNAL:
		return DBL_BROKEN;
	default:
		return DBL_SQL;
	}
}

void Fill(dbl_error &error, ErrorData data) noexcept {
	try {
		// With `errors_as_json` the message is the whole error, place and subtype included.
		auto &raw = data.RawMessage();
		if (!raw.empty() && raw[0] == '{') {
			data = ErrorData(string(raw));
		}
		Fill(error, KindOf(data), data.RawMessage());
		auto position = Detail(data, "position");
		if (!position.empty()) {
			error.position = static_cast<int64_t>(std::strtoull(position.c_str(), nullptr, 10));
		}
		auto name = Detail(data, "name");
		if (!name.empty()) {
			error.name = CopyText(name);
		}
	} catch (...) {
		if (error.message == nullptr) {
			Fill(error, DBL_BROKEN, string());
		}
	}
}

void FillFromCurrent(dbl_error &error) noexcept {
	try {
		throw;
	} catch (const std::bad_alloc &) {
		Fill(error, DBL_OUT_OF_MEMORY, "allocation failed");
	} catch (const std::exception &ex) {
		try {
			Fill(error, ErrorData(ex));
		} catch (...) {
			Fill(error, DBL_BROKEN, "an error without a description");
		}
	} catch (...) {
		Fill(error, DBL_BROKEN, "an exception of unknown type");
	}
}

} // namespace duckblind

extern "C" void dbl_string_free(char *text) {
	std::free(text);
}
