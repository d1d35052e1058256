/** First the lowest priority, and among equals the first that came. */
export class PriorityQueue<Item extends { readonly priority: number }> {
  #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: Item): void {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#items[middle];
      if (other !== undefined && other.priority <= item.priority) low = middle + 1;
      else high = middle;
    }
    this.#items.splice(low, 0, item);
  }

  take(): Item | undefined {
    return this.#items.shift();
  }

  clear(): void {
    this.#items = [];
  }
}
