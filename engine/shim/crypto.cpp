// The crypto module that DuckDB lacks: AES-GCM and random bytes from Rust, for encrypted spill.
//
// Spill encrypts each buffer in one piece, in place, with GCM. Nothing else is offered: anything that
// would stream plaintext before its tag is checked is refused.

#include "internal.hpp"

#include "duckdb/common/encryption_state.hpp"

#include <cstring>

namespace duckblind {

using duckdb::const_data_ptr_t;
using duckdb::data_ptr_t;
using duckdb::EncryptionNonce;
using duckdb::EncryptionState;
using duckdb::EncryptionStateMetadata;
using duckdb::EncryptionTypes;
using duckdb::EncryptionUtil;
using duckdb::idx_t;
using duckdb::IOException;
using duckdb::shared_ptr;
using duckdb::unique_ptr;

static constexpr idx_t NONCE_LEN = 12;
static constexpr idx_t TAG_LEN = 16;
static constexpr idx_t MAX_KEY_LEN = 32;

static void Wipe(void *data, size_t len) {
	auto bytes = static_cast<volatile uint8_t *>(data);
	while (len-- > 0) {
		*bytes++ = 0;
	}
}

class GcmState final : public EncryptionState {
public:
	GcmState(const dbl_crypto &crypto_p, unique_ptr<EncryptionStateMetadata> metadata_p)
	    : EncryptionState(std::move(metadata_p)), crypto(crypto_p) {
	}
	~GcmState() override {
		Wipe(key, sizeof(key));
	}

	void InitializeEncryption(EncryptionNonce &nonce, const_data_ptr_t key_p, const_data_ptr_t aad_p,
	                          idx_t aad_len) override {
		Start(Step::SEAL, nonce, key_p, aad_p, aad_len);
	}
	void InitializeDecryption(EncryptionNonce &nonce, const_data_ptr_t key_p, const_data_ptr_t aad_p,
	                          idx_t aad_len) override {
		Start(Step::OPEN, nonce, key_p, aad_p, aad_len);
	}

	size_t Process(const_data_ptr_t in, idx_t in_len, data_ptr_t out, idx_t out_len) override {
		if (in != out || in_len != out_len || piece) {
			throw duckdb::NotImplementedException("only one piece, in place, is encrypted here");
		}
		piece = out;
		piece_len = in_len;
		switch (step) {
		case Step::SEAL:
			if (crypto.seal(key, key_len, iv, aad.data(), aad.size(), piece, piece_len, sealed_tag) != 0) {
				throw IOException("encryption failed");
			}
			break;
		case Step::OPEN:
			// The tag comes with Finalize; until it has been checked the piece stays as it is.
			break;
		case Step::NONE:
			throw duckdb::InternalException("encryption was not started");
		}
		return in_len;
	}

	size_t Finalize(data_ptr_t, idx_t, data_ptr_t tag, idx_t tag_len) override {
		if (tag_len != TAG_LEN || !piece) {
			throw duckdb::InternalException("encryption cannot be finished");
		}
		switch (step) {
		case Step::SEAL:
			std::memcpy(tag, sealed_tag, TAG_LEN);
			break;
		case Step::OPEN:
			if (crypto.open(key, key_len, iv, aad.data(), aad.size(), piece, piece_len, tag) != 0) {
				Wipe(piece, piece_len);
				throw IOException("a spilled buffer does not decrypt: it was changed");
			}
			break;
		case Step::NONE:
			throw duckdb::InternalException("encryption was not started");
		}
		step = Step::NONE;
		piece = nullptr;
		return 0;
	}

	void GenerateRandomData(data_ptr_t data, idx_t len) override {
		if (crypto.random(data, len) != 0) {
			throw IOException("no random bytes to be had");
		}
	}

private:
	enum class Step { NONE, SEAL, OPEN };

	void Start(Step next, EncryptionNonce &nonce, const_data_ptr_t key_p, const_data_ptr_t aad_p, idx_t aad_len) {
		key_len = metadata->GetKeyLen();
		if (metadata->GetCipher() != EncryptionTypes::GCM || (key_len != 16 && key_len != 32) ||
		    nonce.total_size() != NONCE_LEN || !key_p) {
			throw duckdb::NotImplementedException("only AES-GCM with 12-byte nonces is offered here");
		}
		std::memcpy(key, key_p, key_len);
		std::memcpy(iv, nonce.data(), NONCE_LEN);
		aad.assign(aad_p, aad_p + aad_len);
		step = next;
		piece = nullptr;
	}

	const dbl_crypto crypto;
	Step step = Step::NONE;
	uint8_t key[MAX_KEY_LEN] = {};
	idx_t key_len = 0;
	uint8_t iv[NONCE_LEN] = {};
	std::vector<uint8_t> aad;
	uint8_t sealed_tag[TAG_LEN] = {};
	data_ptr_t piece = nullptr;
	idx_t piece_len = 0;
};

class Util final : public EncryptionUtil {
public:
	explicit Util(const dbl_crypto &crypto_p) : crypto(crypto_p) {
	}
	shared_ptr<EncryptionState> CreateEncryptionState(unique_ptr<EncryptionStateMetadata> metadata) const override {
		return duckdb::make_shared_ptr<GcmState>(crypto, std::move(metadata));
	}

private:
	const dbl_crypto crypto;
};

shared_ptr<EncryptionUtil> MakeEncryptionUtil(const dbl_crypto &crypto) {
	return duckdb::make_shared_ptr<Util>(crypto);
}

} // namespace duckblind
