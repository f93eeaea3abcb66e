// SPDX-License-Identifier: MIT
// Ordinary XDP programs without maps, as people write them for Linux. What they include is spelled out here.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct xdp_md {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
enum { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX };

struct ethhdr {
    u8 dest[6], source[6];
    u16 proto;
} __attribute__((packed));
struct iphdr {
    u8 ihl : 4, version : 4, tos;
    u16 length, id, fragment;
    u8 ttl, protocol;
    u16 check;
    u32 source, dest;
} __attribute__((packed));
struct icmphdr {
    u8 type, code;
    u16 checksum, id, sequence;
} __attribute__((packed));

#define SEC(name) __attribute__((section(name), used))
#define htons(x) __builtin_bswap16(x)

static __attribute__((noinline)) u32 sum(void *data, void *end, u32 words)
{
    u32 total = 0;
    u16 *at = data;
    for (u32 i = 0; i < words; i++, at++) {
        if ((void *)(at + 1) > end)
            break;
        total += *at;
    }
    return total;
}

static __attribute__((noinline)) u16 fold(u32 total)
{
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    return ~total;
}

// Answers an echo request; drops what has a wrong checksum.
SEC("xdp") int answer(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct icmphdr *icmp = (void *)(ip + 1);
    if ((void *)(icmp + 1) > end)
        return XDP_PASS;
    if (eth->proto != htons(0x0800) || ip->protocol != 1 || ip->ihl != 5 || icmp->type != 8)
        return XDP_PASS;
    if (fold(sum(ip, end, 10)) != 0)
        return XDP_DROP;
    u8 mac[6];
    __builtin_memcpy(mac, eth->dest, 6);
    __builtin_memcpy(eth->dest, eth->source, 6);
    __builtin_memcpy(eth->source, mac, 6);
    u32 address = ip->source;
    ip->source = ip->dest;
    ip->dest = address;
    icmp->type = 0;
    icmp->checksum = fold((u32)(u16)~icmp->checksum + (u16)~8 + 0);
    return XDP_TX;
}

// The sum of all bytes, by a pointer that moves.
SEC("xdp/count") int count(struct xdp_md *ctx)
{
    u8 *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    u64 total = 0;
    for (; at + 1 <= end; at++)
        total += *at;
    return total;
}

// Reads a byte that it did not ask the length for.
SEC("xdp/careless") int careless(struct xdp_md *ctx)
{
    return ((u8 *)(long)ctx->data)[100];
}

static int table[4] = {1, 2, 3, 4};

SEC("xdp/global") int global(struct xdp_md *ctx)
{
    return ((volatile int *)table)[ctx->rx_queue_index & 3];
}
