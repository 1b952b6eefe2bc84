# Entry of the stage, and the ways between real mode and long mode.
    .section .entry, "awx"
    .set CODE32, 0x08
    .set DATA32, 0x10
    .set CODE64, 0x18
    .set CODE16, 0x20
    .set DATA16, 0x28
    .set EFER, 0xc0000080
    .set EFER_LME, 1 << 8

# From real mode to long mode, at \target. Changes EAX, ECX, EDX.
    .macro enter_long target
    cli
    lgdt [gdt_register]
    mov eax, 1 << 5                 # PAE
    mov cr4, eax
    mov eax, {PAGE_TABLES}
    mov cr3, eax
    mov ecx, EFER
    rdmsr
    or eax, EFER_LME
    wrmsr
    mov eax, cr0
    or eax, 0x80000001              # PG, PE
    mov cr0, eax
    .byte 0x66, 0xea
    .long \target
    .word CODE64
    .endm

# In 32-bit code: paging and long mode off. Changes EAX, ECX, EDX.
    .macro leave_long
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov ecx, EFER
    rdmsr
    and eax, ~EFER_LME
    wrmsr
    xor eax, eax
    mov cr4, eax
    .endm

# Entered by the boot sector at 0000:8000, boot drive in DL.
    .code16
    .global stage_start
stage_start:
    jmp start16
    .org {BLOCK_LIST}
    .global block_list
block_list:
    .quad {MAGIC}
    .long {VERSION}
    .space {BLOCK_LIST_SIZE} - 12

start16:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    cld
    mov [boot_drive], dl
    call serial_init
    call check_cpu
    call open_a20
    call build_page_tables
    enter_long first64

# Long mode must be there (AMD64 manual, volume 3, CPUID 8000_0001h, EDX bit 29).
check_cpu:
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb 5f
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jnc 5f
    ret
5:  mov si, offset not_64_bit
    jmp print_and_halt

# Opens address line 20: by the BIOS, then by port 92h where it is still closed.
open_a20:
    mov ax, 0x2401
    int 0x15
    in al, 0x92
    test al, 2
    jnz 5f
    or al, 2
    and al, 0xfe                    # bit 0 resets the machine
    out 0x92, al
5:  ret

# 4 GiB, identity, in pages of 2 MiB.
build_page_tables:
    mov ax, {PAGE_TABLES} >> 4
    mov es, ax
    xor di, di
    xor eax, eax
    mov cx, 0x6000 / 4
    rep stosd
    mov dword ptr es:[0], {PAGE_TABLES} + 0x1003
    mov di, 0x1000
    mov eax, {PAGE_TABLES} + 0x2003
5:  mov es:[di], eax
    add eax, 0x1000
    add di, 8
    cmp di, 0x1020
    jne 5b
    mov di, 0x2000
    mov eax, 0x83                   # present, writable, large
2:  mov es:[di], eax
    add eax, 0x200000
    add di, 8
    cmp di, 0x6000
    jne 2b
    xor ax, ax
    mov es, ax
    ret

    .code64
first64:
    mov eax, DATA32
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esp, {STACK_TOP}
    mov edi, offset bss_start
    mov ecx, offset bss_end
    sub ecx, edi
    xor eax, eax
    rep stosb
    call stage_main
    ud2

# extern "sysv64" fn bios_interrupt(vector: u8): calls the BIOS with the registers in
# `bios_registers` and leaves its answer there. DS and ES are 0 in the BIOS.
    .global bios_interrupt
bios_interrupt:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [interrupt_vector], dil
    mov [long_stack], rsp
    push CODE32
    push offset to_real_mode
    retfq
    .code32
to_real_mode:
    leave_long
    .byte 0xea
    .long 2f
    .word CODE16
    .code16
2:  mov ax, DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    lidt [real_idt_register]
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    .byte 0xea
    .word 3f, 0
3:  xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    mov eax, [bios_registers]
    mov ebx, [bios_registers + 4]
    mov ecx, [bios_registers + 8]
    mov edx, [bios_registers + 12]
    mov esi, [bios_registers + 16]
    mov edi, [bios_registers + 20]
    sti
    .byte 0xcd                      # int
interrupt_vector:
    .byte 0
    cli
    mov cs:[bios_registers], eax
    mov cs:[bios_registers + 4], ebx
    mov cs:[bios_registers + 8], ecx
    mov cs:[bios_registers + 12], edx
    mov cs:[bios_registers + 16], esi
    mov cs:[bios_registers + 20], edi
    pushfd
    pop dword ptr cs:[bios_registers + 24]
    xor ax, ax
    mov ds, ax
    cld
    enter_long 4f
    .code64
4:  mov eax, DATA32
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov rsp, [long_stack]
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

# extern "sysv64" fn enter_kernel(entry: u32, ebx: u32, eax: u32) -> !: the machine state of
# xen: docs/misc/pvh.pandoc, which is that of Multiboot, too (0.6.96 §3.2).
    .global enter_kernel
enter_kernel:
    mov ebx, esi
    mov esi, edx
    push CODE32
    push offset to_kernel
    retfq
    .code32
to_kernel:
    leave_long
    mov eax, DATA32
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov eax, esi
    xor ebp, ebp
    jmp edi

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9a000000ffff        # CODE32
    .quad 0x00cf92000000ffff        # DATA32
    .quad 0x00af9a000000ffff        # CODE64
    .quad 0x00009a000000ffff        # CODE16
    .quad 0x000092000000ffff        # DATA16
gdt_register:
    .word gdt_register - gdt - 1
    .long gdt
real_idt_register:
    .word 0x3ff
    .long 0
long_stack:
    .quad 0
    .balign 8
    .global bios_registers
bios_registers:
    .space 28
    .balign 8
    .global disk_packet
disk_packet:
    .space 16
    .global memory_range
memory_range:
    .space 24
    .global boot_drive
boot_drive:
    .byte 0
not_64_bit:
    .asciz "unibeam: this CPU is not 64-bit\r\n"
    .code16
