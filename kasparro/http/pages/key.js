// The API key of this tab: kept until the tab closes or somebody forgets it, sent in a header, never part of an address.
const NAME = "kasparro.key";

export function storedKey() {
  return sessionStorage.getItem(NAME);
}

export function storeKey(key) {
  sessionStorage.setItem(NAME, key);
}

export function forgetKey() {
  sessionStorage.removeItem(NAME);
}
