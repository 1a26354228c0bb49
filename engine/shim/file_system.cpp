// sealed://: a read-only file system whose files are functions in Rust.

#include "internal.hpp"

#include <cstring>

namespace duckblind {

using duckdb::FileHandle;
using duckdb::FileOpener;
using duckdb::FileOpenFlags;
using duckdb::FileSystem;
using duckdb::idx_t;
using duckdb::IOException;
using duckdb::OpenFileInfo;
using duckdb::optional_ptr;
using duckdb::PermissionException;
using duckdb::string;
using duckdb::unique_ptr;
using duckdb::vector;

static constexpr const char *SCHEME = "sealed://";

[[noreturn]] static void RefuseWrite() {
	throw PermissionException("sealed files are read-only");
}

class SealedHandle final : public FileHandle {
public:
	SealedHandle(FileSystem &fs, const string &path, FileOpenFlags flags, const dbl_files &files_p, const void *file_p,
	             uint64_t size_p)
	    : FileHandle(fs, path, std::move(flags)), files(files_p), file(file_p), size(size_p) {
	}
	~SealedHandle() override {
		Close();
	}
	void Close() override {
		if (file) {
			files.close(file);
			file = nullptr;
		}
	}

	void ReadExactly(void *buffer, idx_t len, idx_t location) {
		if (!file || location > size || len > size - location) {
			throw IOException("read beyond the end of a sealed file");
		}
		if (len > 0 && files.read(file, location, static_cast<uint8_t *>(buffer), len) != 0) {
			// The reason waits on the Rust side; this text is never shown.
			throw IOException("sealed file could not be read");
		}
	}

	const dbl_files &files;
	const void *file;
	const uint64_t size;
	idx_t position = 0;
};

class SealedFileSystem final : public FileSystem {
public:
	explicit SealedFileSystem(const dbl_files &files_p) : files(files_p) {
	}
	~SealedFileSystem() override {
		files.release(files.ctx);
	}

	string GetName() const override {
		return "SealedFileSystem";
	}
	bool CanHandleFile(const string &path) override {
		return path.compare(0, std::strlen(SCHEME), SCHEME) == 0;
	}
	// Paths are names, compared byte by byte: nothing to resolve, nothing to walk up.
	string CanonicalizePath(const string &path, optional_ptr<FileOpener>) override {
		return path;
	}
	string PathSeparator(const string &) override {
		return "/";
	}
	bool CanSeek() override {
		return true;
	}
	// Not on disk: DuckDB then fetches whole column chunks ahead, which is what decryption wants.
	bool OnDiskFile(FileHandle &) override {
		return false;
	}
	bool IsPipe(const string &, optional_ptr<FileOpener>) override {
		return false;
	}
	duckdb::FileType GetFileType(FileHandle &) override {
		return duckdb::FileType::FILE_TYPE_REGULAR;
	}
	int64_t GetFileSize(FileHandle &handle) override {
		return duckdb::NumericCast<int64_t>(Sealed(handle).size);
	}
	// The files never change while the process lives; the version tag is what tells them apart.
	duckdb::timestamp_t GetLastModifiedTime(FileHandle &) override {
		return duckdb::timestamp_t(0);
	}
	string GetVersionTag(FileHandle &handle) override {
		auto &sealed = Sealed(handle);
		uint8_t tag[128];
		auto len = sealed.file ? files.tag(sealed.file, tag, sizeof(tag)) : 0;
		return string(reinterpret_cast<const char *>(tag), len);
	}

	unique_ptr<FileHandle> OpenFile(const string &path, FileOpenFlags flags, optional_ptr<FileOpener>) override {
		if (flags.OpenForWriting() || flags.CreateFileIfNotExists() || flags.OverwriteExistingFile() ||
		    flags.OpenForAppending() || flags.ExclusiveCreate() || !flags.OpenForReading()) {
			RefuseWrite();
		}
		const void *file = nullptr;
		uint64_t size = 0;
		if (!Find(path, file, size)) {
			if (flags.ReturnNullIfNotExists()) {
				return nullptr;
			}
			throw IOException("there is no such sealed file");
		}
		try {
			return duckdb::make_uniq<SealedHandle>(*this, path, flags, files, file, size);
		} catch (...) {
			files.close(file);
			throw;
		}
	}
	bool FileExists(const string &path, optional_ptr<FileOpener>) override {
		const void *file = nullptr;
		uint64_t size = 0;
		if (!Find(path, file, size)) {
			return false;
		}
		files.close(file);
		return true;
	}
	bool DirectoryExists(const string &, optional_ptr<FileOpener>) override {
		return false;
	}
	// Exact names only; a pattern matches nothing.
	vector<OpenFileInfo> Glob(const string &path, FileOpener *) override {
		vector<OpenFileInfo> found;
		if (FileExists(path, nullptr)) {
			found.emplace_back(path);
		}
		return found;
	}

	void Read(FileHandle &handle, void *buffer, int64_t len, idx_t location) override {
		Sealed(handle).ReadExactly(buffer, duckdb::NumericCast<idx_t>(len), location);
	}
	int64_t Read(FileHandle &handle, void *buffer, int64_t len) override {
		auto &sealed = Sealed(handle);
		auto left = sealed.position < sealed.size ? sealed.size - sealed.position : 0;
		auto take = duckdb::MinValue<idx_t>(duckdb::NumericCast<idx_t>(len), left);
		sealed.ReadExactly(buffer, take, sealed.position);
		sealed.position += take;
		return duckdb::NumericCast<int64_t>(take);
	}
	void Seek(FileHandle &handle, idx_t location) override {
		Sealed(handle).position = location;
	}
	idx_t SeekPosition(FileHandle &handle) override {
		return Sealed(handle).position;
	}

	void Write(FileHandle &, void *, int64_t, idx_t) override {
		RefuseWrite();
	}
	int64_t Write(FileHandle &, void *, int64_t) override {
		RefuseWrite();
	}
	bool Trim(FileHandle &, idx_t, idx_t) override {
		RefuseWrite();
	}
	void Truncate(FileHandle &, int64_t) override {
		RefuseWrite();
	}
	void FileSync(FileHandle &) override {
		RefuseWrite();
	}
	void CreateDirectory(const string &, optional_ptr<FileOpener>) override {
		RefuseWrite();
	}
	bool CreateDirectoryExtended(const string &, const duckdb::CreateDirectoryOptions &,
	                             optional_ptr<FileOpener>) override {
		RefuseWrite();
	}
	void CreateDirectoriesRecursive(const string &, optional_ptr<FileOpener>) override {
		RefuseWrite();
	}
	void RemoveDirectory(const string &, optional_ptr<FileOpener>) override {
		RefuseWrite();
	}
	bool RemoveDirectoryExtended(const string &, const duckdb::RemoveDirectoryOptions &,
	                             optional_ptr<FileOpener>) override {
		RefuseWrite();
	}
	void MoveFile(const string &, const string &, optional_ptr<FileOpener>) override {
		RefuseWrite();
	}
	void RemoveFile(const string &, optional_ptr<FileOpener>) override {
		RefuseWrite();
	}
	bool TryRemoveFile(const string &, optional_ptr<FileOpener>) override {
		RefuseWrite();
	}
	void RemoveFiles(const vector<string> &, optional_ptr<FileOpener>) override {
		RefuseWrite();
	}

private:
	static SealedHandle &Sealed(FileHandle &handle) {
		return handle.Cast<SealedHandle>();
	}
	bool Find(const string &path, const void *&file, uint64_t &size) {
		return files.find(files.ctx, reinterpret_cast<const uint8_t *>(path.data()), path.size(), &file, &size) == 1;
	}

	const dbl_files files;
};

unique_ptr<FileSystem> MakeFileSystem(const dbl_files &files) {
	return duckdb::make_uniq<SealedFileSystem>(files);
}

} // namespace duckblind
