// The one entry point of the kernel: PVH (xen: docs/misc/pvh.pandoc).
//
// 32-bit protected mode, flat segments, paging off, EBX = physical address of the start-info
// block. Sets up page tables for the first GiB at three places (identity, direct map, kernel
// image), enters long mode and continues in Rust at the kernel's link address.
//
// Symbols are linked at KERNEL_BASE + physical address; `phys(x)` below undoes that.

.set KERNEL_BASE, 0xffffffff80000000

.section .note.pvh, "a", @note
.align 4
    .long 4             // length of the name
    .long 8             // length of the value
    .long 18            // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_entry - KERNEL_BASE

.section .text.boot, "ax"
.code32
.global pvh_entry
pvh_entry:
    cld
    mov edi, ebx                            // start info, the argument of machine_start

    // Page tables: one page directory of 2 MiB pages serves all three places.
    mov eax, offset boot_pd - KERNEL_BASE
    xor ecx, ecx
    mov edx, 0x83                           // present, writable, 2 MiB
1:  mov [eax + ecx * 8], edx
    mov dword ptr [eax + ecx * 8 + 4], 0
    add edx, 0x200000
    inc ecx
    cmp ecx, 512
    jne 1b

    mov eax, offset boot_pd - KERNEL_BASE + 3
    mov ecx, offset boot_pdpt_low - KERNEL_BASE
    mov [ecx], eax
    mov ecx, offset boot_pdpt_high - KERNEL_BASE
    mov [ecx + 510 * 8], eax                // 0xffffffff80000000

    mov ecx, offset boot_pml4 - KERNEL_BASE
    mov eax, offset boot_pdpt_low - KERNEL_BASE + 3
    mov [ecx], eax                          // identity, dropped once in Rust
    mov [ecx + 256 * 8], eax                // direct map, 0xffff800000000000
    mov eax, offset boot_pdpt_high - KERNEL_BASE + 3
    mov [ecx + 511 * 8], eax
    mov cr3, ecx

    mov eax, cr4
    or eax, 0x6a0                           // PAE, PGE, OSFXSR, OSXMMEXCPT
    mov cr4, eax

    mov ecx, 0xc0000080                     // EFER: SCE, LME, NXE
    rdmsr
    or eax, 0x901
    wrmsr

    mov eax, 0x80010033                     // CR0: PG, WP, NE, ET, MP, PE
    mov cr0, eax

    lgdt [boot_gdt_pointer - KERNEL_BASE]
    // Far jump to 64-bit code, still at the physical address.
    .byte 0xea
    .long boot_long_mode - KERNEL_BASE
    .word 0x08

.code64
boot_long_mode:
    movabs rax, offset boot_high
    jmp rax
boot_high:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    lea rsp, [rip + boot_stack_top]
    xor ebp, ebp
    mov edi, edi
    call machine_start
2:  hlt
    jmp 2b

.section .rodata.boot, "a"
.align 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff                // 64-bit code
    .quad 0x00cf93000000ffff                // data
boot_gdt_pointer:
    .word 23
    .long boot_gdt - KERNEL_BASE

.section .bss.boot, "aw", @nobits
.align 4096
.global boot_pml4
boot_pml4:      .skip 4096
boot_pdpt_low:  .skip 4096
boot_pdpt_high: .skip 4096
boot_pd:        .skip 4096
// Left unmapped once the kernel has tables of its own (mem/kernel_image.rs).
.global boot_stack_guard
boot_stack_guard: .skip 4096
.global boot_stack_bottom
boot_stack_bottom:
    .skip 65536
.global boot_stack_top
boot_stack_top:

.text
.code64
