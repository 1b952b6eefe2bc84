# The Multiboot header, and the way into long mode, which a program for x86-64 has to find itself.
    .section .multiboot, "a"
    .balign 4
header:
    .long {MAGIC}
    .long {FLAGS}
    .long -({MAGIC} + {FLAGS})
    .long header
    .long load_start
    .long load_end
    .long bss_end
    .long start

    .text
    .code32
    .global start
start:
    mov esp, offset stack_top
    mov ebp, eax
    # 4 GiB, identity, in pages of 2 MiB.
    mov dword ptr [tables], offset tables + 0x1003
    mov edi, offset tables + 0x1000
    mov eax, offset tables + 0x2003
2:  mov [edi], eax
    add eax, 0x1000
    add edi, 8
    cmp edi, offset tables + 0x1020
    jne 2b
    mov edi, offset tables + 0x2000
    mov eax, 0x83                   # present, writable, large
3:  mov [edi], eax
    add edi, 8
    add eax, 0x200000
    jnc 3b
    mov eax, cr4
    or eax, 1 << 5                  # PAE
    mov cr4, eax
    mov eax, offset tables
    mov cr3, eax
    mov ecx, 0xc0000080             # EFER
    rdmsr
    or eax, 1 << 8                  # LME
    wrmsr
    lgdt [gdt_register]
    mov eax, cr0
    or eax, 0x80000000              # PG
    mov cr0, eax
    .byte 0xea
    .long start64
    .word 0x08
    .code64
start64:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov edi, ebp
    mov esi, ebx
    call main
    ud2

    .section .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9a000000ffff
    .quad 0x00cf92000000ffff
gdt_register:
    .word gdt_register - gdt - 1
    .long gdt

    .section .bss
    .balign 4096
tables:
    .space 0x6000
    .space 16384
stack_top:
