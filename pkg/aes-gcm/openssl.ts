import koffi from "koffi";

/** EVP_EncryptInit(3) and RAND_bytes(3), as C declares them. A context belongs to one thread at a time. Buffers are passed without a copy. */
export type Openssl = ReturnType<typeof functions>;

/** The functions of OpenSSL that Node exports for addons; undefined for a Node that exports others. */
export const openssl = loaded();

function loaded(): Openssl | undefined {
  try {
    return functions();
  } catch {
    return undefined;
  }
}

function functions() {
  const node = koffi.load(null);
  return {
    fetchCipher: node.func("void *EVP_CIPHER_fetch(void *library, const char *name, const char *properties)"),
    random: node.func("int RAND_bytes(void *bytes, int length)"),
    newContext: node.func("void *EVP_CIPHER_CTX_new()"),
    freeContext: node.func("void EVP_CIPHER_CTX_free(void *context)"),
    control: node.func("int EVP_CIPHER_CTX_ctrl(void *context, int type, int number, void *bytes)"),
    encrypt: {
      init: node.func("int EVP_EncryptInit_ex2(void *context, void *cipher, void *key, void *nonce, void *parameters)"),
      update: node.func("int EVP_EncryptUpdate(void *context, void *out, void *outLength, void *bytes, int length)"),
      final: node.func("int EVP_EncryptFinal_ex(void *context, void *out, void *outLength)"),
    },
    decrypt: {
      init: node.func("int EVP_DecryptInit_ex2(void *context, void *cipher, void *key, void *nonce, void *parameters)"),
      update: node.func("int EVP_DecryptUpdate(void *context, void *out, void *outLength, void *bytes, int length)"),
      final: node.func("int EVP_DecryptFinal_ex(void *context, void *out, void *outLength)"),
    },
  };
}

// EVP_CIPHER_CTX_ctrl
export const getTag = 0x10; // EVP_CTRL_AEAD_GET_TAG
export const setTag = 0x11; // EVP_CTRL_AEAD_SET_TAG
