-- Key authentication: the SHA-256 of the bearer key must be among the digests of the route.
--
-- The digests come with the route (LuaPerRoute.filter_context.digests, hex digest -> slot name), so that a
-- rotated key travels as a route update and no connection is dropped. Fails closed: no digests, no entry.
-- Clear keys never reach the router's configuration; the header is taken off before the replica sees it.

local band, bor, bnot, bxor = bit.band, bit.bor, bit.bnot, bit.bxor
local lshift, rshift, ror, tobit, tohex = bit.lshift, bit.rshift, bit.ror, bit.tobit, bit.tohex

local MAX_KEY_BYTES = 256 -- bounds what hashing an attacker's header may cost
local MAX_HEADER_BYTES = MAX_KEY_BYTES + 16

-- FIPS 180-4, section 4.2.2: fractional parts of the cube roots of the first 64 primes.
local ROUND = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}

-- FIPS 180-4, section 5.3.3: fractional parts of the square roots of the first 8 primes.
local INITIAL = {
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}

local function big_endian(value)
  return string.char(band(rshift(value, 24), 255), band(rshift(value, 16), 255), band(rshift(value, 8), 255), band(value, 255))
end

-- One bit, zeros to 56 modulo 64 bytes, the length in bits: keys are far below 2^32 bits.
local function padded(text)
  local zeros = (55 - #text) % 64
  return text .. "\128" .. string.rep("\0", zeros + 4) .. big_endian(#text * 8)
end

local words = {} -- scratch for one block; a worker runs one request at a time

local function schedule(block, offset)
  for i = 1, 16 do
    local a, b, c, d = block:byte(offset + i * 4 - 4, offset + i * 4 - 1)
    words[i] = bor(lshift(a, 24), lshift(b, 16), lshift(c, 8), d)
  end
  for i = 17, 64 do
    local x, y = words[i - 15], words[i - 2]
    local s0 = bxor(ror(x, 7), ror(x, 18), rshift(x, 3))
    local s1 = bxor(ror(y, 17), ror(y, 19), rshift(y, 10))
    words[i] = tobit(words[i - 16] + s0 + words[i - 7] + s1)
  end
end

local function compress(hash)
  local a, b, c, d, e, f, g, h = unpack(hash)
  for i = 1, 64 do
    local s1 = bxor(ror(e, 6), ror(e, 11), ror(e, 25))
    local choice = bxor(band(e, f), band(bnot(e), g))
    local t1 = tobit(h + s1 + choice + ROUND[i] + words[i])
    local s0 = bxor(ror(a, 2), ror(a, 13), ror(a, 22))
    local majority = bxor(band(a, b), band(a, c), band(b, c))
    h, g, f, e, d, c, b, a = g, f, e, tobit(d + t1), c, b, a, tobit(t1 + s0 + majority)
  end
  local worked = { a, b, c, d, e, f, g, h }
  for i = 1, 8 do
    hash[i] = tobit(hash[i] + worked[i])
  end
end

local function sha256(text)
  local message = padded(text)
  local hash = { unpack(INITIAL) }
  for offset = 1, #message, 64 do
    schedule(message, offset)
    compress(hash)
  end
  local hex = {}
  for i = 1, 8 do
    hex[i] = tohex(hash[i])
  end
  return table.concat(hex)
end

local function bearer_key(headers)
  -- Two headers could be read differently by different readers: none is trusted.
  if headers:getNumValues("authorization") ~= 1 then
    return nil
  end
  local value = headers:get("authorization")
  if #value > MAX_HEADER_BYTES then
    return nil
  end
  local scheme, key = value:match("^(%a+) +(%S+)$")
  if not scheme or scheme:lower() ~= "bearer" or #key > MAX_KEY_BYTES then
    return nil
  end
  return key
end

local function slot_of(handle)
  local key = bearer_key(handle:headers())
  local digests = handle:filterContext():get("digests")
  return key and digests and digests[sha256(key)]
end

function envoy_on_request(handle)
  local slot = slot_of(handle)
  if not slot then
    handle:respond({ [":status"] = "401", ["www-authenticate"] = "Bearer" }, "a valid key is required")
    return
  end
  handle:headers():remove("authorization")
  handle:streamInfo():dynamicMetadata():set("modelyard.auth", "slot", slot)
end
